package proxy

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"rhumb"
)

// backend is a rhumb.Backend in one table. It is immutable but for what it points to.
type backend struct {
	spec     *rhumb.Backend
	active   []*endpoint // those that get new connections
	counters *backendCounters
	turn     *atomic.Uint32 // where the next search begins, so that equals take turns
}

// endpoint is a rhumb.Endpoint in one table.
type endpoint struct {
	*target
	backend *backendCounters
	release *releaseCounters
}

// targetKey says which endpoints of different tables are the same thing.
type targetKey struct {
	replica string
	addr    netip.AddrPort
}

// target is what outlives the tables of an endpoint: its replica's count, its failures and its idle connections.
type target struct {
	addr        string
	replica     *replica
	failedUntil atomic.Int64 // Unix nanoseconds; until then others are preferred
	http        upstream
}

func (t *target) failing(now time.Time) bool { return now.UnixNano() < t.failedUntil.Load() }

// replica counts the connections and requests in flight of one replica, over all its ports and backends.
type replica struct {
	id    string
	open  atomic.Int64
	flows flows // those of them that may be quiet

	dismissing atomic.Bool // its flows are closed as they become quiet
}

// lease is one connection's or request's place at an endpoint. Whoever got it releases it once.
type lease struct{ *endpoint }

func (l lease) drop() { l.replica.open.Add(-1) }

// dialError is an attempt to connect that failed before a byte was sent, so that another endpoint may be tried.
type dialError struct{ err error }

func (e *dialError) Error() string { return "connect: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// Why a request or connection found no endpoint.
var (
	errNoBackend = errors.New("no such backend")
	errVain      = errors.New("no endpoint became ready in time")
	errCrowded   = errors.New("too many wait already")
	errBusy      = errors.New("no place for one more")
)

// balancer finds endpoints. It reads the table that is served and never changes it.
type balancer struct {
	served    *served
	limits    Limits
	retries   time.Duration // between two rounds over endpoints that all failed
	upstreams slots         // for connections to endpoints
	sessions  slots         // for UDP sessions
	tcp       tcpConns
	swept     atomic.Int64 // Unix nanoseconds: when idle connections were last closed to make room
}

func newBalancer(s *served, l Limits) *balancer {
	return &balancer{served: s, limits: l, retries: 100 * time.Millisecond, upstreams: make(slots, l.Upstreams),
		sessions: make(slots, l.TotalSessions)}
}

// reach calls try with an endpoint of the backend, least connections first, until try returns something else than a
// dialError. While no endpoint is active, or all that are active fail, it waits up to the backend's Hold. When try
// succeeds the lease is the caller's, to drop when the connection or request has ended; otherwise reach drops it.
func (b *balancer) reach(ctx context.Context, name string, try func(lease) error) error {
	w := wait{limits: b.limits}
	defer w.leave()
	var tried []*target
	var failure error // the last dialError of this round
	for {
		s := b.served.load()
		be := s.backends[name]
		if be == nil {
			return errNoBackend
		}
		l, ok := be.pick(tried)
		if !ok {
			if err := w.until(ctx, be, s.replaced, b.pause(failure)); err != nil {
				return b.verdict(err, failure)
			}
			tried = tried[:0]
			continue
		}
		if b.served.load() != s {
			// The table was replaced between the look and the count: whoever asked for the drain may already have
			// read a zero. Look again.
			l.drop()
			continue
		}
		err := try(l)
		if err == nil {
			w.served()
			return nil
		}
		l.drop()
		if errors.Is(err, errBusy) {
			be.counters.unserved.Add(1)
		}
		if !errors.As(err, new(*dialError)) || ctx.Err() != nil {
			return err
		}
		l.release.errors.Add(1)
		l.failedUntil.Store(time.Now().Add(b.limits.FailTime).UnixNano())
		tried, failure = append(tried, l.target), err
	}
}

// pause is how long to wait before a new round: until the table changes, but not so long if endpoints are there and failed.
func (b *balancer) pause(failure error) time.Duration {
	if failure == nil {
		return 0
	}
	return b.retries
}

// verdict prefers the endpoints' own failure over having waited in vain.
func (b *balancer) verdict(err, failure error) error {
	if failure != nil && errors.Is(err, errVain) {
		return failure
	}
	return err
}

// pick gives the active endpoint with the fewest connections among those not tried yet, and counts the new one. Endpoints
// that failed a moment ago come last.
func (be *backend) pick(tried []*target) (lease, bool) {
	n := len(be.active)
	if n == 0 {
		return lease{}, false
	}
	var best *endpoint
	var least int64
	bestFails := false
	now := time.Now()
	start := int(be.turn.Add(1) % uint32(n))
	for i := range n {
		e := be.active[(start+i)%n]
		if slices.Contains(tried, e.target) {
			continue
		}
		fails, open := e.failing(now), e.replica.open.Load()
		if best == nil || bestFails && !fails || bestFails == fails && open < least {
			best, least, bestFails = e, open, fails
		}
	}
	if best == nil {
		return lease{}, false
	}
	best.replica.open.Add(1)
	return lease{best}, true
}

// wait is one request's or connection's time in a backend's waiting room.
type wait struct {
	limits   Limits
	counters *backendCounters // nil: never entered
	deadline time.Time
}

// until returns nil when it is worth looking again: the table was replaced, or the pause (0: none) is over.
func (w *wait) until(ctx context.Context, be *backend, replaced <-chan struct{}, pause time.Duration) error {
	if be.spec.Hold <= 0 {
		be.counters.unserved.Add(1)
		return errVain
	}
	if w.counters == nil {
		n := be.counters.waiting.Add(1)
		if n > int64(w.limits.Waiting) {
			be.counters.waiting.Add(-1)
			be.counters.unserved.Add(1)
			return errCrowded
		}
		if n == 1 {
			be.counters.since.Store(time.Now().UnixNano())
		}
		w.counters, w.deadline = be.counters, time.Now().Add(be.spec.Hold)
	}
	left := time.Until(w.deadline)
	if left <= 0 {
		w.counters.unserved.Add(1)
		return errVain
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
		w.counters.unserved.Add(1) // its client has waited for long enough
		return context.Cause(ctx)
	}
	return nil
}

func (w *wait) served() {
	if w.counters != nil {
		w.counters.held.Add(1)
	}
}

func (w *wait) leave() {
	if w.counters != nil {
		w.counters.waiting.Add(-1)
	}
}
