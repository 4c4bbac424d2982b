package logstore

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"rhumb"
)

// What a follower may have waiting. A single batch may be larger.
const (
	maxWaiting      = 100_000
	maxWaitingBytes = 32 << 20
)

// follower receives the lines that arrive.
type follower struct {
	stack string // "": all
	ready chan struct{}

	mu      sync.Mutex
	waiting []rhumb.LogLine
	bytes   int
	slow    bool // lines were lost
}

// hub sends the lines that are taken to the followers.
//
// Each line is stored with the epoch in which it was taken, and each read begins a new one: it reads the lines of
// earlier epochs, and a follower receives those of later ones. A batch is stored, and sent to the followers, under mu's
// read lock.
type hub struct {
	mu        sync.RWMutex
	epoch     uint64
	followers map[*follower]struct{}
}

// next begins an epoch, with a follower if there is one, and returns it.
func (h *hub) next(f *follower) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	if f != nil {
		h.followers[f] = struct{}{}
	}
	return h.epoch
}

// newFollower returns a follower of a stack's lines, or of all.
func newFollower(stack string) *follower {
	return &follower{stack: stack, ready: make(chan struct{}, 1)}
}

// leave ends the following.
func (h *hub) leave(f *follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.followers, f)
}

// announce sends the lines of a stack to its followers. mu must be locked.
func (h *hub) announce(stack string, lines []rhumb.LogLine) {
	var copies []rhumb.LogLine // all followers have the same
	for f := range h.followers {
		if f.stack != "" && f.stack != stack {
			continue
		}
		if copies == nil {
			copies = make([]rhumb.LogLine, len(lines))
			for i := range lines {
				copies[i] = cut(lines[i])
				copies[i].Time = copies[i].Time.UTC()
				copies[i].Fields = maps.Clone(lines[i].Fields)
			}
		}
		f.add(copies)
	}
}

// add appends lines to those that wait, unless the follower is too slow.
func (f *follower) add(lines []rhumb.LogLine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	bytes := 0
	for i := range lines {
		bytes += len(lines[i].Text)
	}
	full := len(f.waiting) > 0 && (len(f.waiting)+len(lines) > maxWaiting || f.bytes+bytes > maxWaitingBytes)
	if f.slow = f.slow || full; !f.slow {
		f.waiting = append(f.waiting, lines...)
		f.bytes += bytes
	}
	select {
	case f.ready <- struct{}{}:
	default: // it knows already
	}
}

// take returns the waiting lines, and whether lines after them were lost.
func (f *follower) take() ([]rhumb.LogLine, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.waiting
	f.waiting, f.bytes = nil, 0
	return lines, f.slow
}

// run yields the lines that arrive and that a query chooses, until yield returns false.
func (f *follower) run(ctx context.Context, fl *filter, q rhumb.LogQuery, yield func(rhumb.LogLine) bool) error {
	r := recent{n: q.Around, before: map[writerID][]rhumb.LogLine{}, pending: map[writerID]int{}}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.ready:
		}
		lines, slow := f.take()
		for _, l := range lines {
			for _, l := range r.add(l, fl.chooses(&l)) {
				if !yield(l) {
					return nil
				}
			}
		}
		if slow {
			return rhumb.Errorf(rhumb.Unavailable, "the lines arrive faster than they are read: some are left out").
				WithHint("follow fewer lines, for example of one service")
		}
	}
}

// chooses reports whether a filter chooses a line that isn't stored yet.
func (f *filter) chooses(l *rhumb.LogLine) bool {
	if !f.match(l) {
		return false
	}
	if f.user == nil {
		return true
	}
	var e encoder
	fields := e.encode(l, 0, "")
	stream := "{" + fieldService + "=" + strconv.Quote(l.Service) + "," + fieldStack + "=" + strconv.Quote(l.Stack) +
		"," + fieldStream + "=" + strconv.Quote(l.Stream()) + "}"
	return f.user.MatchRow(slices.Concat(fields, []logstorage.Field{
		{Name: "", Value: l.Text}, // as the library calls the text in some filters
		{Name: timeField, Value: l.Time.UTC().Format(time.RFC3339Nano)}, {Name: streamField, Value: stream},
	}))
}
