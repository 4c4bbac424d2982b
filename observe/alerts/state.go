package alerts

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
)

// state is what the file keeps.
type state struct {
	Rules     map[string][]rhumb.AlertRule // of the stacks that have their own, by stack
	Alerts    map[string]*record           // by ID
	Silences  []rhumb.Silence
	Incidents map[string]*incident // by stack
}

// record is an alert with what only the evaluation needs.
type record struct {
	rhumb.Alert
	Of       string    // the key of its rule
	Replicas bool      // its rule is about replicas
	Last     time.Time // when its condition last held
}

func (r *record) key() string { return r.Of }

func (s scope) key() string { return s.stack + "/" + s.service + "/" + s.name }

const maxFile = 64 << 20 // bytes

// load reads the state. A file that can't be read is set aside.
func load(file string, log *slog.Logger) state {
	var s state
	b, err := atomicfile.Read(file, maxFile)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("alerts and silences can't be read, the file is set aside", "file", file, "err", err)
		if err := os.Rename(file, file+".unreadable"); err != nil {
			log.Error("file not set aside", "file", file, "err", err)
		}
		s = state{}
	}
	if s.Rules == nil {
		s.Rules = map[string][]rhumb.AlertRule{}
	}
	if s.Alerts == nil {
		s.Alerts = map[string]*record{}
	}
	if s.Incidents == nil {
		s.Incidents = map[string]*incident{}
	}
	for id, rec := range s.Alerts {
		if rec == nil {
			delete(s.Alerts, id)
		}
	}
	for stack, i := range s.Incidents {
		if i == nil || i.Known == nil {
			delete(s.Incidents, stack)
		}
	}
	return s
}

// save writes the state. It returns Unavailable, and the log has it, if it can't.
func (a *Alerts) save() error {
	a.saving.Lock()
	defer a.saving.Unlock()
	a.mu.Lock()
	b, err := json.Marshal(a.book.state)
	a.mu.Unlock()
	if err == nil {
		err = atomicfile.Write(a.deps.File, b, 0o600)
	}
	if err != nil {
		a.deps.Log.Error("alerts and silences not kept", "file", a.deps.File, "err", err)
		return rhumb.Errorf(rhumb.Unavailable, "alerts and silences can't be kept: %w", err).
			WithHint("is the disk full?")
	}
	return nil
}
