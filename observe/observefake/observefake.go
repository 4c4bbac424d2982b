// Package observefake is a store of lines in memory, for tests.
package observefake

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Store is an observe.Sink and a rhumb.Observer in memory. Its Query isn't LogsQL but words that a text must contain.
type Store struct {
	mu      sync.Mutex
	lines   []rhumb.LogLine // in the order in which they arrived
	dropped map[source]int64
	full    error
	changed chan struct{} // closed when lines arrive
}

// source is what LogCounts counts lines by.
type source struct {
	stack, service string
	release        int
}

// New returns an empty store.
func New() *Store { return &Store{dropped: map[source]int64{}, changed: make(chan struct{})} }

// Fail makes Append take no lines and return an error, until it is called with nil.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = err
}

// All returns all lines in the order in which they arrived.
func (s *Store) All() []rhumb.LogLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// Append implements observe.Sink.
func (s *Store) Append(ctx context.Context, lines []rhumb.LogLine) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full != nil {
		return 0, s.full
	}
	for _, l := range lines {
		l.Time = l.Time.UTC()
		l.Fields = maps.Clone(l.Fields)
		s.lines = append(s.lines, l)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return len(lines), nil
}

// Drop implements observe.Sink.
func (s *Store) Drop(stack, service string, release int, lines int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped[source{stack, service, release}] += lines
}

// Sync implements observe.Sink.
func (s *Store) Sync(ctx context.Context, _ ...string) error { return ctx.Err() }

// Since implements observe.Sink.
func (s *Store) Since(ctx context.Context, container string, from time.Time, yield func(rhumb.LogLine) bool) error {
	for _, l := range s.All() {
		if l.Container == container && !l.Time.Before(from) && !yield(l) {
			break
		}
	}
	return ctx.Err()
}
