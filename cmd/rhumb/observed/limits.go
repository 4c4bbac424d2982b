package observed

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"rhumb"
	"rhumb/internal/atomicfile"
)

// limits are the limits of the stacks, in a file: after a restart, a stack that keeps its lines for longer than others
// must not lose them before the daemon has sent its limits again.
type limits struct {
	file string
	set  func(stack string, l rhumb.LogLimits)

	mu  sync.Mutex
	all map[string]rhumb.LogLimits
}

// maxLimits is the largest file of limits, in bytes.
const maxLimits = 1 << 20

// openLimits sets the limits that are in the folder.
func openLimits(folder string, set func(string, rhumb.LogLimits)) (*limits, error) {
	ls := &limits{file: filepath.Join(folder, "limits.json"), set: set, all: map[string]rhumb.LogLimits{}}
	b, err := atomicfile.Read(ls.file, maxLimits)
	if err == nil {
		err = json.Unmarshal(b, &ls.all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, rhumb.Errorf(rhumb.Unavailable, "the limits in %s can't be read: %w", ls.file, err).
			WithHint("delete the file; the server sends the limits again")
	}
	for stack, l := range ls.all {
		set(stack, l)
	}
	return ls, nil
}

// change sets limits of stacks and keeps them.
func (ls *limits) change(changed map[string]rhumb.LogLimits) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	fresh := false
	for stack, l := range changed {
		if old, ok := ls.all[stack]; !ok || old != l {
			ls.all[stack], fresh = l, true
			ls.set(stack, l)
		}
	}
	if !fresh {
		return nil
	}
	b, err := json.Marshal(ls.all)
	if err == nil {
		err = atomicfile.Write(ls.file, b, 0o600)
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the limits can't be kept: %w", err)
	}
	return nil
}
