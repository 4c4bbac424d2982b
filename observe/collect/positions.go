package collect

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"

	"rhumb/internal/atomicfile"
)

// position is how far the lines of a container are in the sink.
type position struct {
	Inode  uint64    `json:",omitzero"` // of the file; an inode may be used again, so Tail decides
	Offset int64     `json:",omitzero"` // in the file
	Tail   uint64    `json:",omitzero"` // the hash of the bytes before Offset, which hold a line's time
	Time   time.Time // lines that may not be in the sink are not earlier than this
}

// maxPositions bounds the file of positions.
const maxPositions = 64 << 20

// positions are the positions of all containers, and the file that keeps them.
type positions struct {
	path string

	mu      sync.Mutex
	all     map[string]position // by container
	changed bool
}

// loadPositions reads the file. One that can't be read is set aside: the sink knows which lines it has.
func loadPositions(path string, log *slog.Logger) *positions {
	ps := &positions{path: path, all: map[string]position{}}
	b, err := atomicfile.Read(path, maxPositions)
	if err == nil {
		err = json.Unmarshal(b, &ps.all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("log positions can't be read and are set aside", "path", path, "err", err)
		if err := os.Rename(path, path+".broken"); err != nil {
			log.Warn("log positions not set aside", "path", path, "err", err)
		}
	}
	if ps.all == nil || err != nil {
		ps.all = map[string]position{}
	}
	return ps
}

func (ps *positions) get(id string) (position, bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p, ok := ps.all[id]
	return p, ok
}

func (ps *positions) set(id string, p position) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all[id], ps.changed = p, true
}

// keep drops the positions of which is false.
func (ps *positions) keep(is func(id string) bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for id := range ps.all {
		if !is(id) {
			delete(ps.all, id)
			ps.changed = true
		}
	}
}

// store writes the positions to the file if they have changed. It calls sync first.
func (ps *positions) store(sync func() error) error {
	ps.mu.Lock()
	if !ps.changed {
		ps.mu.Unlock()
		return nil
	}
	ps.changed = false
	all := maps.Clone(ps.all)
	ps.mu.Unlock()
	err := sync()
	var b []byte
	if err == nil {
		b, err = json.Marshal(all)
	}
	if err == nil {
		err = atomicfile.Write(ps.path, b, 0o600)
	}
	if err != nil {
		ps.mu.Lock()
		ps.changed = true
		ps.mu.Unlock()
	}
	return err
}
