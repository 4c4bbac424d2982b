package collect

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// store is a sink that can crash: it loses the last lines that were not synced.
type store struct {
	mu      sync.Mutex
	rng     *rand.Rand
	lines   []rhumb.LogLine
	synced  int
	full    bool            // Append takes nothing
	shaky   bool            // Append often takes a part only
	refused map[string]bool // stacks of which Append takes nothing
	dropped int64
	asked   int // calls of Since
}

func newStore(seed uint64) *store {
	return &store{rng: rand.New(rand.NewPCG(seed, 1)), refused: map[string]bool{}}
}

func (s *store) Append(_ context.Context, lines []rhumb.LogLine) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(lines)
	if s.shaky && s.rng.IntN(3) == 0 {
		n = s.rng.IntN(n + 1)
	}
	if s.full || s.refused[lines[0].Stack] {
		n = 0
	}
	s.lines = append(s.lines, lines[:n]...)
	if n < len(lines) {
		return n, errors.New("no room")
	}
	return n, nil
}

func (s *store) Drop(_, _ string, _ int, lines int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped += lines
}

func (s *store) Sync(context.Context, ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = len(s.lines)
	return nil
}

func (s *store) Since(_ context.Context, container string, from time.Time, yield func(rhumb.LogLine) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	for _, i := range s.rng.Perm(len(s.lines)) {
		l := s.lines[i]
		if l.Container == container && !l.Time.Before(from) && !yield(l) {
			break
		}
	}
	return nil
}

// crash loses some of the lines that are not synced.
func (s *store) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = s.lines[:s.synced+s.rng.IntN(len(s.lines)-s.synced+1)]
	s.synced = len(s.lines)
}

func (s *store) set(change func(*store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// of returns a container's lines.
func (s *store) of(container string) []rhumb.LogLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []rhumb.LogLine
	for _, l := range s.lines {
		if l.Container == container {
			lines = append(lines, l)
		}
	}
	return lines
}

// texts returns the texts of a container's lines on a stream, joined ones apart.
func (s *store) texts(container string, stderr bool) []string {
	var texts []string
	for _, l := range s.of(container) {
		if l.Stderr == stderr {
			texts = append(texts, strings.Split(l.Text, "\n")...)
		}
	}
	return texts
}

func (s *store) has(container, text string) bool {
	return slices.Contains(s.texts(container, false), text) || slices.Contains(s.texts(container, true), text)
}
