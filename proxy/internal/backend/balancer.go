package backend

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/limits"
)

// backend is a rhumb.Backend in one table. It is immutable but for what it points to.
type backend struct {
	spec     *rhumb.Backend
	active   []*Member // those that get what is new
	counters *counters
	turn     *atomic.Uint32 // where the next search begins, so that equals take turns
}

// DialError is an attempt to connect that failed before a byte was sent, so that another endpoint may be tried.
type DialError struct{ err error }

func (e *DialError) Error() string { return "connect: " + e.err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.err }

// Why a request or connection found no endpoint.
var (
	ErrNoBackend = errors.New("no such backend")
	ErrUnready   = errors.New("no endpoint became ready in time")
	ErrCrowded   = errors.New("too many requests and connections are waiting")
	ErrBusy      = errors.New("no place for another connection to an endpoint")
)

// Balancer finds endpoints. It reads the snapshot that is served and never changes it.
type Balancer struct {
	Sessions    limits.Places // for UDP sessions
	Transparent Transparent   // nil: replicas see the proxy's address

	served     *atomic.Pointer[Snapshot]
	limits     limits.Limits
	retries    time.Duration // between two rounds over endpoints that all failed
	conns      limits.Places // for connections to endpoints
	idleClosed atomic.Int64  // Unix nanoseconds: when idle connections were last closed to make room
}

// New returns a balancer over the snapshot that served holds.
func New(served *atomic.Pointer[Snapshot], l limits.Limits) *Balancer {
	return &Balancer{served: served, limits: l, retries: 100 * time.Millisecond,
		conns: make(limits.Places, l.EndpointConns), Sessions: make(limits.Places, l.TotalSessions)}
}

// Reach calls try with a member of the backend, least connections first, until try returns something else than a
// DialError. While no member is active, or all active ones fail, it waits up to the backend's Hold. If try returns nil,
// the member is the caller's, to call Done when the connection or request has ended. Otherwise Reach calls Done.
//
// A request or connection that ends with a DialError, or while Reach waits after one, counts as failed for the last
// member that was tried. All else that try finds out, it counts itself.
//
// Reach returns the error of try, ErrNoBackend, ErrUnready, ErrCrowded or ErrBusy, or the cause of ctx's end.
func (b *Balancer) Reach(ctx context.Context, name string, try func(*Member) error) error {
	return b.reach(ctx, name, Preference{}, try)
}

func (b *Balancer) reach(ctx context.Context, name string, p Preference, try func(*Member) error) error {
	w := wait{limits: b.limits}
	defer w.leave()
	var tried []*Endpoint
	var failure error // the last DialError of this round
	for {
		s := b.served.Load()
		be := s.backends[name]
		if be == nil {
			return ErrNoBackend
		}
		m := be.choose(p, tried)
		if m == nil {
			if err := w.until(ctx, be, s.replaced, b.pause(failure)); err != nil {
				return b.verdict(err, failure)
			}
			tried = tried[:0]
			continue
		}
		if b.served.Load() != s {
			// The table was replaced between the look and the count. The daemon may already have asked for a drain
			// and read a zero. Look again.
			m.Done()
			continue
		}
		err := try(m)
		if err == nil {
			w.served()
			return nil
		}
		m.Done()
		switch {
		case errors.Is(err, ErrBusy):
			be.counters.unserved.Add(1)
			return err
		case !errors.As(err, new(*DialError)):
			w.failed = nil // try has counted it
			return err
		case ctx.Err() != nil:
			return err // the endpoint had too little time
		}
		m.Avoid(b.limits.FailTime)
		tried, failure, w.failed = append(tried, m.Endpoint), err, m
	}
}

// Now returns a member without waiting for one, and nil if there is none: a datagram without an endpoint is lost.
func (b *Balancer) Now(name string) *Member {
	for {
		s := b.served.Load()
		be := s.backends[name]
		if be == nil {
			return nil
		}
		m := be.pick(nil)
		if m == nil {
			be.counters.unserved.Add(1)
			return nil
		}
		if b.served.Load() == s {
			return m
		}
		m.Done()
	}
}

// pause is how long to wait before a new round: until the table changes, but only for a moment if there are endpoints
// that failed.
func (b *Balancer) pause(failure error) time.Duration {
	if failure == nil {
		return 0
	}
	return b.retries
}

// verdict prefers the endpoints' own failure to ErrUnready.
func (b *Balancer) verdict(err, failure error) error {
	if failure != nil && errors.Is(err, ErrUnready) {
		return failure
	}
	return err
}

// choose returns the preferred member if it works, or else what pick returns.
func (be *backend) choose(p Preference, tried []*Endpoint) *Member {
	if p != (Preference{}) {
		if m := be.preferred(p, tried); m != nil {
			return m
		}
	}
	return be.pick(tried)
}

// pick returns the active member with the fewest connections among those not tried yet, and counts the new one.
// Endpoints that failed a moment ago come last. It returns nil if there is none.
func (be *backend) pick(tried []*Endpoint) *Member {
	n := len(be.active)
	if n == 0 {
		return nil
	}
	var best *Member
	var least int64
	bestFails := false
	now := time.Now()
	start := int(be.turn.Add(1) % uint32(n))
	for i := range n {
		m := be.active[(start+i)%n]
		if slices.Contains(tried, m.Endpoint) {
			continue
		}
		fails, open := m.failing(now), m.replica.open.Load()
		if best == nil || bestFails && !fails || bestFails == fails && open < least {
			best, least, bestFails = m, open, fails
		}
	}
	if best != nil {
		best.replica.open.Add(1)
	}
	return best
}

// wait is the time of one request or connection in a backend's waiting room.
type wait struct {
	limits   limits.Limits
	counters *counters // nil: never entered
	deadline time.Time
	failed   *Member // the last one that could not be reached; nil: none
}

// until returns nil when it is worth looking again: the table was replaced, or the pause (0: none) is over.
func (w *wait) until(ctx context.Context, be *backend, replaced <-chan struct{}, pause time.Duration) error {
	if be.spec.Hold <= 0 {
		be.counters.unserved.Add(1)
		return ErrUnready
	}
	if w.counters == nil {
		n := be.counters.waiting.Add(1)
		if n > int64(w.limits.Waiting) {
			be.counters.waiting.Add(-1)
			be.counters.unserved.Add(1)
			return ErrCrowded
		}
		if n == 1 {
			be.counters.since.Store(time.Now().UnixNano())
		}
		w.counters, w.deadline = be.counters, time.Now().Add(be.spec.Hold)
	}
	left := time.Until(w.deadline)
	if left <= 0 {
		w.counters.unserved.Add(1)
		return ErrUnready
	}
	if pause > 0 {
		left = min(left, pause)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-replaced:
	case <-timer.C:
	case <-ctx.Done():
		w.counters.unserved.Add(1) // its client has left
		return context.Cause(ctx)
	}
	return nil
}

func (w *wait) served() {
	w.failed = nil
	if w.counters != nil {
		w.counters.held.Add(1)
	}
}

func (w *wait) leave() {
	if w.failed != nil {
		w.failed.NoteFailed()
	}
	if w.counters != nil {
		w.counters.waiting.Add(-1)
	}
}
