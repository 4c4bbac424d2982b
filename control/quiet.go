package control

import (
	"context"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/internal/pause"
)

const (
	// quietLimit is how long the last replica of a stop-first service goes on serving at most while a moment is waited for in
	// which nothing is under way.
	quietLimit = 10 * time.Second
	quietPoll  = 20 * time.Millisecond
)

// awaitQuiet waits, before the last replica of a stop-first service drains, until nothing is under way at it: from then on
// callers wait until the next replica is there, and what takes long had better be over. Meanwhile the replica serves on. A
// service that is never quiet is waited for as long as quietLimit, or as its Drain if that is less.
func (r *runner) awaitQuiet(ctx context.Context, g *goal, s rhumb.Step) error {
	svc := g.wanted.Model.Service(s.Service)
	if s.Kind != rhumb.StepDrain || svc == nil || svc.Replicas == 0 || !g.stopFirst(s.Service) {
		return nil
	}
	ctx, done, _ := r.hooks.abandonable(ctx)
	defer done()
	for began := time.Now(); time.Since(began) < min(svc.Drain, quietLimit); {
		st, err := r.c.desk.Status(ctx)
		if err != nil {
			return err
		}
		if routing.BusyOf(st)[s.Replica] == 0 || routing.OthersServe(&st.Table, r.stack, s.Replica) {
			return nil
		}
		if !pause.For(ctx, quietPoll) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// stopFirst reports whether the service is stop-first in either of the releases at hand: then it is in a change from one to
// the other.
func (g *goal) stopFirst(service string) bool {
	for _, m := range []*rhumb.Stack{g.wanted.Model, g.wanted.Previous} {
		if s := m.Service(service).Applied(); s != nil && s.Order == rhumb.StopFirst {
			return true
		}
	}
	return false
}
