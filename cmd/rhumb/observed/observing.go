package observed

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"sync"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/internal/atomicfile"
)

// observing is what the stacks ask for, in a file: after a restart, a stack that keeps its lines for longer than others
// must not lose them before the daemon has sent all of this again, and its alerts must go on.
type observing struct {
	file string
	set  func(stack string, o rhumb.Observing)

	mu  sync.Mutex
	all map[string]rhumb.Observing
}

// openObserving sets what is in the folder.
func openObserving(folder string, set func(string, rhumb.Observing)) (*observing, error) {
	os := &observing{file: filepath.Join(folder, "observing.json"), set: set, all: map[string]rhumb.Observing{}}
	err := read(os.file, &os.all)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.readLimits(filepath.Join(folder, "limits.json"))
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "what the stacks ask for can't be read: %w", err).
			WithHint("delete the file; the server sends it again")
	}
	for stack, o := range os.all {
		set(stack, o)
	}
	return os, nil
}

// readLimits reads the limits of logs in the file of an older version, if it is there.
func (os *observing) readLimits(file string) error {
	var limits map[string]rhumb.LogLimits
	if err := read(file, &limits); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for stack, l := range limits {
		os.all[stack] = rhumb.Observing{Logs: l}
	}
	return nil
}

func read(file string, v any) error {
	b, err := atomicfile.Read(file, link.MaxObserving)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "%s: %w", file, err)
	}
	return nil
}

// change sets what stacks ask for, and keeps it.
func (os *observing) change(changed map[string]rhumb.Observing) error {
	os.mu.Lock()
	defer os.mu.Unlock()
	fresh := false
	for stack, o := range changed {
		if old, ok := os.all[stack]; !ok || !reflect.DeepEqual(old, o) {
			os.all[stack], fresh = o, true
			os.set(stack, o)
		}
	}
	if !fresh {
		return nil
	}
	b, err := json.Marshal(os.all)
	if err == nil {
		err = atomicfile.Write(os.file, b, 0o600)
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "what the stacks ask for can't be kept: %w", err)
	}
	return nil
}
