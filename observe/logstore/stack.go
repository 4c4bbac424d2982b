package logstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const (
	stackFile = "stack.json"
	maxFile   = 16 << 20
	parts     = 8 // a stack's size is that of so many segments
)

// stack keeps the lines of one stack.
type stack struct {
	name, dir string

	appending sync.Mutex // one batch at a time
	encoder   encoder
	ties      map[string]tie // by container
	unsynced  map[int64]bool // days with lines that aren't on the disk
	unchecked int64          // bytes taken since the size was checked

	mu       sync.Mutex
	limits   rhumb.LogLimits
	segments []*segment // oldest first; the last takes lines
	dropped  map[source]int64
	dirty    bool // stack.json is out of date
}

// source is what lines are counted by.
type source struct {
	Service string
	Release int
}

// tie is the time of a container's last line, and how many lines came before it at that time.
type tie struct {
	ns int64
	n  uint64
}

// record is the content of stack.json.
type record struct {
	Stack    string
	Dropped  []drops      `json:",omitzero"`
	Segments map[int]info `json:",omitzero"` // those that don't take lines any more
}

// drops are the lines of a source that could not be kept.
type drops struct {
	source
	Lines int64
}

var plain = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// folder returns the name of a stack's folder.
func folder(name string) string {
	if plain.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "_" + hex.EncodeToString(sum[:16])
}

// newStack creates the folder of a stack.
func newStack(dir, name string, l rhumb.LogLimits) (*stack, error) {
	k := &stack{name: name, dir: filepath.Join(dir, folder(name)), limits: l, dropped: map[source]int64{}, dirty: true}
	k.ties, k.unsynced = map[string]tie{}, map[int64]bool{}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, err
	}
	if err := k.save(); err != nil {
		return nil, err
	}
	return k, atomicfile.SyncDir(dir)
}

// openStack reads the folder of a stack, without opening its segments.
func openStack(dir string, log *slog.Logger) (*stack, error) {
	k := &stack{dir: dir, limits: rhumb.DefaultLogLimits, dropped: map[source]int64{}}
	k.ties, k.unsynced = map[string]tie{}, map[int64]bool{}
	var r record
	b, err := atomicfile.Read(filepath.Join(dir, stackFile), maxFile)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && folder(r.Stack) != filepath.Base(dir) {
		err = errors.New("the folder is of the stack " + r.Stack)
	}
	if err != nil {
		return nil, err
	}
	k.name = r.Stack
	for _, d := range r.Dropped {
		k.dropped[d.source] = d.Lines
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), gone) {
			_ = os.RemoveAll(filepath.Join(dir, e.Name())) // it is tried again
			continue
		}
		n, err := strconv.Atoi(e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		g := newSegment(dir, n, k.limits.Keep, log)
		if i, ok := r.Segments[n]; ok {
			g.info = &i
		}
		k.segments = append(k.segments, g)
	}
	slices.SortFunc(k.segments, func(a, b *segment) int { return a.number - b.number })
	return k, nil
}

// save writes stack.json.
func (k *stack) save() error {
	k.mu.Lock()
	r := record{Stack: k.name, Segments: map[int]info{}}
	for of, n := range k.dropped {
		r.Dropped = append(r.Dropped, drops{of, n})
	}
	segments, dirty := slices.Clone(k.segments), k.dirty
	k.dirty = false
	k.mu.Unlock()
	if !dirty {
		return nil
	}
	for _, g := range segments[:max(0, len(segments)-1)] {
		if i, ok := g.known(); ok {
			r.Segments[g.number] = i
		}
	}
	b, err := json.Marshal(r)
	if err == nil {
		err = atomicfile.Write(filepath.Join(k.dir, stackFile), b, 0o600)
	}
	if err != nil {
		k.mu.Lock()
		k.dirty = true
		k.mu.Unlock()
	}
	return err
}

// active returns the segment that takes lines, which it creates.
func (k *stack) active(log *slog.Logger) *segment {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.segments) == 0 {
		k.segments = append(k.segments, newSegment(k.dir, 1, k.limits.Keep, log))
	}
	return k.segments[len(k.segments)-1]
}

// bound makes the next segment take lines if the active one is full, and removes the oldest if the stack is too large.
// appending must be locked.
func (k *stack) bound(g *segment, log *slog.Logger) error {
	k.mu.Lock()
	share := k.limits.Size / parts
	k.mu.Unlock()
	if k.unchecked < min(share, 4<<20) {
		return nil
	}
	k.unchecked = 0
	if g.look().Size < share {
		return nil
	}
	if err := k.syncLocked(); err != nil {
		return err
	}
	k.mu.Lock()
	k.segments = append(k.segments, newSegment(k.dir, g.number+1, k.limits.Keep, log))
	k.dirty = true
	k.mu.Unlock()
	k.prune()
	return k.save()
}

// prune removes the oldest segments while the stack is too large, or while all their lines are too old.
func (k *stack) prune() {
	k.mu.Lock()
	segments, l := slices.Clone(k.segments), k.limits
	k.mu.Unlock()
	if len(segments) < 2 {
		return
	}
	size, oldest := int64(0), nanoseconds(time.Now().Add(-l.Keep))
	for i, g := range slices.Backward(segments) {
		is := g.look()
		size += is.Size
		if i == len(segments)-1 || size <= l.Size-l.Size/parts && is.Last >= oldest {
			continue
		}
		k.mu.Lock()
		k.segments = slices.DeleteFunc(k.segments, func(o *segment) bool { return o == g })
		k.dirty = true
		k.mu.Unlock()
		g.remove()
	}
}

// clean closes segments that nothing uses, and removes old ones. It reports whether it closed one.
func (k *stack) clean(idle time.Duration) bool {
	closed := false
	k.prune()
	k.mu.Lock()
	segments, keep := slices.Clone(k.segments), k.limits.Keep
	k.mu.Unlock()
	for i, g := range segments {
		if i < len(segments)-1 {
			closed = g.closeIdle(min(idle, 10*time.Second)) || closed
		} else {
			closed = g.closeIdle(idle) || closed
		}
		g.expire(keep)
	}
	_ = k.save() // it is tried again
	return closed
}

// setLimits changes the limits.
func (k *stack) setLimits(l rhumb.LogLimits) {
	k.mu.Lock()
	k.limits = l
	segments := slices.Clone(k.segments)
	k.mu.Unlock()
	for _, g := range segments {
		g.setKeep(l.Keep)
	}
	k.prune()
}

// sync writes the lines that were taken to the disk.
func (k *stack) sync() error {
	k.appending.Lock()
	defer k.appending.Unlock()
	return errors.Join(k.syncLocked(), k.save())
}

// syncLocked is sync while appending is locked.
func (k *stack) syncLocked() error {
	if len(k.unsynced) == 0 {
		return nil
	}
	k.mu.Lock()
	g := k.segments[len(k.segments)-1]
	k.mu.Unlock()
	if err := g.sync(k.unsynced); err != nil {
		return err
	}
	clear(k.unsynced)
	return nil
}

// close closes all segments.
func (k *stack) close() error {
	k.mu.Lock()
	segments := slices.Clone(k.segments)
	k.mu.Unlock()
	for _, g := range segments {
		g.closeIdle(0)
	}
	return k.save()
}

// drop counts lines that could not be kept.
func (k *stack) drop(of source, lines int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dropped[of] += lines
	k.dirty = true
}
