// Package logstore keeps lines on disk, with the log storage of VictoriaLogs.
//
// Each stack has a folder of its own, so that its limits and its floods are its own:
//
//	DIR/STACK/stack.json   its name, what was dropped of it, and what its segments contain
//	DIR/STACK/1, 2, …      its segments, the last of which takes lines
//
// A segment is a storage of the library. It is full when it has an eighth of the stack's size; then the next one takes
// lines, and the oldest is removed if the stack would grow over its size. Lines are removed by age within a segment, by
// whole days. The library can neither remove part of a day quickly nor bound its size; to remove a folder is both.
//
// The library ends the process when the disk is full or fails. So Append looks first how much space there is, and the
// process that uses this package must expect to be started again: a line is safe once Sync has returned.
package logstore

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
	"rhumb/internal/disk"
)

// Store is an observe.Sink, and reads what it took as a rhumb.Observer.
type Store struct {
	dir  string
	idle time.Duration
	log  *slog.Logger

	mu       sync.Mutex
	stacks   map[string]*stack
	limits   map[string]rhumb.LogLimits
	ends     uint64 // the first epoch of the next process
	reserved bool   // the disk says so

	hub hub
}

const epochFile = "epoch"

// epochs is how many epochs a process has at most. They begin where those of no process before it have ended.
const epochs = 1e9

// DefaultIdle is how long a segment stays open that nothing uses.
const DefaultIdle = 5 * time.Minute

// Open opens the store in a folder, which it creates. Prepare must have been called. Segments are closed that nothing
// has used for the time idle; 0: DefaultIdle.
func Open(dir string, idle time.Duration, log *slog.Logger) (*Store, error) {
	s := &Store{
		dir: dir, idle: idle, log: log, stacks: map[string]*stack{}, limits: map[string]rhumb.LogLimits{},
		hub: hub{followers: map[*follower]struct{}{}},
	}
	if s.idle == 0 {
		s.idle = DefaultIdle
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "the folder of the logs can't be made: %w", err)
	}
	if err := s.readEpoch(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "the folder of the logs can't be read: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		k, err := openStack(filepath.Join(dir, e.Name()), log)
		if err != nil {
			log.Error("logs of a stack not readable, leaving them alone", "dir", e.Name(), "err", err)
			continue
		}
		s.stacks[k.name] = k
	}
	return s, nil
}

// readEpoch finds out where this process's epochs begin.
func (s *Store) readEpoch() error {
	path := filepath.Join(s.dir, epochFile)
	b, err := atomicfile.Read(path, 32)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return rhumb.Errorf(rhumb.Unavailable, "the log store can't be opened: %w", err)
	}
	if len(b) > 0 {
		if s.hub.epoch, err = strconv.ParseUint(string(b), 10, 50); err != nil {
			return rhumb.Errorf(rhumb.Unavailable, "the log store can't be opened: %s: %w", path, err)
		}
	}
	s.ends = s.hub.epoch + epochs
	s.hub.epoch++
	return nil
}

// reserve reserves this process's epochs before lines are stored with them.
func (s *Store) reserve() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved {
		return nil
	}
	if err := atomicfile.Write(filepath.Join(s.dir, epochFile), strconv.AppendUint(nil, s.ends, 10), 0o600); err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the log store can't take lines: %w", err)
	}
	s.reserved = true
	return nil
}

// SetLimits changes the limits of a stack: "" has the lines of the daemon and the proxy.
func (s *Store) SetLimits(name string, l rhumb.LogLimits) {
	s.mu.Lock()
	s.limits[name] = l
	k := s.stacks[name]
	s.mu.Unlock()
	if k != nil {
		k.setLimits(l.OrDefault())
	}
}

// Run closes segments that aren't used and removes old lines, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(min(s.idle, 10*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		closed := false
		for _, k := range s.all() {
			closed = k.clean(s.idle) || closed
		}
		if closed {
			debug.FreeOSMemory() // a process without work keeps it
		}
	}
}

// Close writes all lines to the disk and closes the store. Nothing may use it any more.
func (s *Store) Close() error {
	var errs []error
	for _, k := range s.all() {
		errs = append(errs, k.close())
	}
	return errors.Join(errs...)
}

// all returns all stacks.
func (s *Store) all() []*stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.stacks))
}

// existing returns the stacks that a query is about.
// NotFound: nothing is kept of its stack.
func (s *Store) existing(name string) ([]*stack, error) {
	if name == "" {
		return s.all(), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.stacks[name]; k != nil {
		return []*stack{k}, nil
	}
	return nil, rhumb.Errorf(rhumb.NotFound, "nothing is kept of the stack %q", name)
}

// stack returns a stack, which it creates.
func (s *Store) stack(name string) (*stack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.stacks[name]; k != nil {
		return k, nil
	}
	k, err := newStack(s.dir, name, s.limits[name].OrDefault())
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "the log store has no room for the stack %q: %w", name, err)
	}
	s.stacks[name] = k
	return k, nil
}

// Floors of free space: below them the disk counts as full.
const (
	leastFree   = 64 << 20
	mostFree    = 2 << 30
	leastInodes = 1000
)

// full returns an error if the disk of a folder is full, or nearly.
func full(dir string) error {
	u, err := disk.Look(dir)
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the disk of the logs can't be read: %w", err)
	}
	free, floor := u.Usable-u.Used, min(max(u.Usable/50, leastFree), mostFree)
	if free >= floor && (u.Inodes == 0 || u.Free >= leastInodes) {
		return nil
	}
	return rhumb.Errorf(rhumb.Unavailable, "the disk is full: %s has %d MB free, and logs leave %d MB",
		dir, free>>20, floor>>20).WithHint("free some, or keep fewer logs")
}
