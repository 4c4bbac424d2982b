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
	probing map[string]context.CancelFunc
	output  map[string]string // what the last failing probe said
	noted   map[string]bool   // failures that are written down
	work    sync.WaitGroup
}

// New makes a Readiness that knows of nobody.
func New() *Readiness {
	return &Readiness{ready: map[string]time.Time{}, probing: map[string]context.CancelFunc{}, output: map[string]string{}, noted: map[string]bool{}}
}

// Since gives the replicas that are ready, and forgets those that are gone. A running replica that gets requests
// already, or that the engine's own check calls healthy, is ready without a probe of ours: so a daemon that starts
// anew finds things as they are.
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
		case routed && !rt.Draining:
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

// Start probes a replica until it is ready, unless that goes on already.
func (y *Readiness) Start(ctx context.Context, rep rhumb.Replica, p Prober, pace Pace, wake func()) {
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
		y.mu.Lock()
		delete(y.probing, rep.ID)
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
