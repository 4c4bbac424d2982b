// Package ready knows which replicas are ready, and finds it out by probing them.
package ready

import (
	"context"
	"maps"
	"sync"
	"time"

	"rhumb"
	"rhumb/rollout"
)

// Readiness knows which of a stack's replicas are ready, and finds it out by probing them.
type Readiness struct {
	mu      sync.Mutex
	ready   map[string]time.Time
	accepts map[string]bool // the check passes, and must go on doing so for a while
	probing map[string]context.CancelFunc
	output  map[string]string // what the last failing probe said
	noted   map[string]bool   // failures that are written down
	work    sync.WaitGroup
}

// New makes a Readiness that knows of nobody.
func New() *Readiness {
	return &Readiness{ready: map[string]time.Time{}, accepts: map[string]bool{}, probing: map[string]context.CancelFunc{},
		output: map[string]string{}, noted: map[string]bool{}}
}

// Since returns the replicas that are ready, and forgets those that are gone. A running replica that gets requests
// already, or that the engine's own check calls healthy, is ready without a probe of ours, so that a daemon that was
// restarted finds things as they are. A replica that gets requests but was started only a moment ago may have been
// routed before it was ready: it is probed.
func (y *Readiness) Since(o rollout.Observed) map[string]time.Time {
	y.mu.Lock()
	defer y.mu.Unlock()
	here := map[string]bool{}
	for _, rep := range o.Replicas {
		here[rep.ID] = true
		rt, routed := o.Routes[rep.ID]
		_, known := y.ready[rep.ID]
		switch {
		case !rep.Alive() || rep.Health == rhumb.HealthUnhealthy:
			delete(y.ready, rep.ID)
			if stop := y.probing[rep.ID]; stop != nil {
				stop()
			}
		case known:
		case routed && !rt.Draining && y.probing[rep.ID] == nil && time.Since(rep.Started) >= rhumb.ReadyWindow:
			y.ready[rep.ID] = rep.Started
		case rep.Health == rhumb.HealthHealthy:
			y.ready[rep.ID] = time.Now()
		}
	}
	maps.DeleteFunc(y.noted, func(id string, _ bool) bool { return !here[id] })
	maps.DeleteFunc(y.ready, func(id string, _ time.Time) bool { return !here[id] })
	maps.DeleteFunc(y.output, func(id string, _ string) bool { return !here[id] })
	for id, stop := range y.probing {
		if !here[id] {
			stop()
		}
	}
	return maps.Clone(y.ready)
}

// Said gives the output of a replica's last failing probe.
func (y *Readiness) Said(id string) string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.output[id]
}

// Recorded notes that the failure of a replica is written down.
func (y *Readiness) Recorded(id string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if id != "" {
		y.noted[id] = true
	}
}

// RecordedIDs gives the replicas whose failures are written down.
func (y *Readiness) RecordedIDs() map[string]bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return maps.Clone(y.noted)
}

// Stop ends all probes and waits for them.
func (y *Readiness) Stop() {
	y.mu.Lock()
	for _, stop := range y.probing {
		stop()
	}
	y.mu.Unlock()
	y.work.Wait()
}

// Accepts returns the replicas whose check passes but hasn't passed for the whole of its window yet.
func (y *Readiness) Accepts() map[string]bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return maps.Clone(y.accepts)
}

// Start probes a replica until it is ready, unless that goes on already. It is ready once p has passed for as long as
// window, without a failure in between; 0: once p has passed.
func (y *Readiness) Start(ctx context.Context, rep rhumb.Replica, p Prober, pace Pace, window time.Duration, wake func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.probing[rep.ID] != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	y.probing[rep.ID] = stop
	y.work.Go(func() {
		defer stop()
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
		delete(y.probing, rep.ID)
		delete(y.accepts, rep.ID)
		if err == nil {
			y.ready[rep.ID] = time.Now()
			delete(y.output, rep.ID)
		}
		y.mu.Unlock()
		wake()
	})
}

// Once does something with a replica, unless something goes on with it already.
func (y *Readiness) Once(ctx context.Context, id string, do func(context.Context), wake func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.probing[id] != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	y.probing[id] = stop
	y.work.Go(func() {
		defer stop()
		do(ctx)
		y.mu.Lock()
		delete(y.probing, id)
		y.mu.Unlock()
		wake()
	})
}

// accept notes whether a replica's check passes while its window lasts.
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

// steady asks from time to time until the window has passed, and returns the first failure. It asks seldom: some
// servers keep count of callers that connect and say nothing.
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
