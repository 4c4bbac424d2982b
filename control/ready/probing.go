package ready

import (
	"context"
	"time"

	"rhumb"
)

// Start probes a replica until it is ready, unless a probe or other work runs for it. The replica is ready once p has
// passed for as long as window without a failure; with a window of 0, once p has passed. Then, and whenever the check
// begins or stops to pass, wake is called.
func (y *Readiness) Start(
	ctx context.Context, rep rhumb.Replica, p Prober, pace Pace, window time.Duration, wake func(),
) {
	y.start(ctx, rep.ID, wake, func(ctx context.Context) {
		err := y.until(ctx, rep, p, pace)
		for err == nil && window > 0 {
			y.accept(rep.ID, true, wake)
			if err = steady(ctx, p, window); err == nil || ctx.Err() != nil {
				break
			}
			y.accept(rep.ID, false, wake)
			err = y.until(ctx, rep, p, pace)
		}
		y.mu.Lock()
		defer y.mu.Unlock()
		delete(y.accepts, rep.ID)
		if err == nil {
			y.ready[rep.ID] = time.Now()
			delete(y.output, rep.ID)
		}
	})
}

// StartOnce runs do for a replica, unless a probe or other work runs for it. Then wake is called.
func (y *Readiness) StartOnce(ctx context.Context, id string, do func(context.Context), wake func()) {
	y.start(ctx, id, wake, do)
}

// start runs do in a goroutine of its own, unless something runs for the replica.
func (y *Readiness) start(ctx context.Context, id string, wake func(), do func(context.Context)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.running[id] != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	y.running[id] = stop
	y.work.Go(func() {
		defer stop()
		do(ctx)
		y.mu.Lock()
		delete(y.running, id)
		y.mu.Unlock()
		wake()
	})
}

// Stop cancels all probes and other work, and waits for them.
func (y *Readiness) Stop() {
	y.mu.Lock()
	for _, stop := range y.running {
		stop()
	}
	y.mu.Unlock()
	y.work.Wait()
}

// accept remembers whether a replica's check passes while its window lasts.
func (y *Readiness) accept(id string, yes bool, wake func()) {
	y.mu.Lock()
	if yes {
		y.accepts[id] = true
	} else {
		delete(y.accepts, id)
	}
	y.mu.Unlock()
	wake()
}

// steady probes once a second until the window has passed, and returns the first failure. It probes no more often
// because some servers count callers that connect and say nothing.
func steady(ctx context.Context, p Prober, window time.Duration) error {
	for left := window; left > 0; left -= time.Second {
		select {
		case <-time.After(min(left, time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := p(ctx); err != nil {
			return err
		}
	}
	return nil
}

// until probes a replica until p passes or ctx ends.
func (y *Readiness) until(ctx context.Context, rep rhumb.Replica, p Prober, pace Pace) error {
	var wait time.Duration
	for {
		err := p(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		y.mu.Lock()
		y.output[rep.ID] = err.Error()
		y.mu.Unlock()
		wait = pace(time.Since(rep.Started), wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}
