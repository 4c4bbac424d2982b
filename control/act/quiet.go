package act

import (
	"context"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/control/scene"
	"rhumb/internal/pause"
)

const (
	// quietLimit is how long the last replica of a stop-first service goes on serving at most before it drains.
	quietLimit = 10 * time.Second
	quietPoll  = 20 * time.Millisecond
)

// awaitQuiet waits, before the last replica of a stop-first service drains, until it has no requests in flight. From
// then on callers wait for the next replica, and requests that take long should be over by then. Meanwhile the
// replica goes on serving. awaitQuiet waits no longer than quietLimit and the service's Drain.
func (p *Performer) awaitQuiet(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	svc := s.Wanted.Model.Service(step.Service)
	if step.Kind != rhumb.StepDrain || svc == nil || svc.Replicas == 0 || !s.StopFirst(step.Service) {
		return nil
	}
	ctx, done := p.waits.context(ctx)
	defer done()
	for began := time.Now(); time.Since(began) < min(svc.Drain, quietLimit); {
		st, err := p.Desk.Status(ctx)
		if err != nil {
			return err
		}
		if routing.BusyOf(st)[step.Replica] == 0 || routing.OthersServe(&st.Table, p.stack, step.Replica) {
			return nil
		}
		if !pause.For(ctx, quietPoll) {
			return context.Cause(ctx)
		}
	}
	return nil
}
