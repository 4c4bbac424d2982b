package collect

import (
	"context"
	"sync"
	"time"

	"rhumb"
)

// standing is how far the worker of a container is, and what others want of it.
type standing struct {
	wake chan struct{} // one place: look again

	mu       sync.Mutex
	finished bool  // the container writes no more
	done     bool  // all of it is in the sink
	refused  error // why the sink has taken no lines for a second
	asked    int   // how often drained was called
	answered int   // the calls up to this one are served
	news     chan struct{}
	acked    place // where the first line begins that is not in the sink
	since    time.Time
	moved    bool // acked has changed since the last position
	last     position
}

func newStanding(last position) *standing {
	return &standing{wake: make(chan struct{}, 1), news: make(chan struct{}), last: last}
}

// poke wakes the worker.
func (s *standing) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// state returns whether the container has ended, and which calls of drained there were.
func (s *standing) state() (finished bool, asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished, s.asked
}

// asks reports whether a call of drained up to one waits.
func (s *standing) asks(asked int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return asked > s.answered
}

// ack records how far the lines are in the sink.
func (s *standing) ack(at place, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at != s.acked {
		s.acked, s.since, s.moved = at, since, true
	}
}

// answer serves the calls of drained up to one.
func (s *standing) answer(asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked > s.answered {
		s.answered = asked
		s.announce()
	}
}

// end records that all of the container is in the sink.
func (s *standing) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.announce()
}

// announce wakes the calls of drained. The caller holds the lock.
func (s *standing) announce() {
	close(s.news)
	s.news = make(chan struct{})
}

// refuse records why the sink has taken no lines for a second; nil: it takes them again.
func (s *standing) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused = err; err != nil {
		s.announce()
	}
}

// drained waits until all that was written up to now is in the sink. It returns an error if ctx ends before, or if the
// sink takes no lines.
func (s *standing) drained(ctx context.Context) error {
	s.mu.Lock()
	s.asked++
	mine := s.asked
	s.mu.Unlock()
	s.poke()
	for {
		s.mu.Lock()
		served, refused, news := s.done || s.answered >= mine, s.refused, s.news
		s.mu.Unlock()
		if served {
			return nil
		}
		if refused != nil {
			return rhumb.Errorf(rhumb.Unavailable, "no lines can be kept: %w", refused)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
	}
}

// listed takes in what the engine says of the container now.
func (s *standing) listed(w rhumb.LogWriter) { s.setFinished(!w.Finished.IsZero()) }

// removed records that the container is gone: what is left of it are the files that are open.
func (s *standing) removed() { s.setFinished(true) }

func (s *standing) setFinished(finished bool) {
	s.mu.Lock()
	s.finished = finished
	s.mu.Unlock()
	s.poke()
}

func (s *standing) isDone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}
