// Package ready knows which of a stack's replicas are ready, and probes them to find out.
package ready

import (
	"context"
	"maps"
	"sync"
	"time"

	"rhumb"
	"rhumb/rollout"
)

// Readiness remembers what probing has shown about a stack's replicas. The turn updates it; a Snapshot only reads.
type Readiness struct {
	mu       sync.Mutex
	ready    map[string]time.Time
	accepts  map[string]bool               // the check passes, and must keep passing for its window
	running  map[string]context.CancelFunc // the probe or other work that runs for a replica
	output   map[string]string             // of the last probe, if it failed
	recorded map[string]bool               // failures that are recorded
	work     sync.WaitGroup
}

// Snapshot is what is known of a stack's replicas at one moment, by replica ID.
type Snapshot struct {
	Since    map[string]time.Time // since when the replica is ready
	Accepts  map[string]bool      // its check passes, but has not yet for the whole of its window
	Recorded map[string]bool      // its failure is recorded
}

// New returns a Readiness that knows no replicas.
func New() *Readiness {
	return &Readiness{ready: map[string]time.Time{}, accepts: map[string]bool{},
		running: map[string]context.CancelFunc{}, output: map[string]string{}, recorded: map[string]bool{}}
}

// Update remembers which of the observed replicas are ready and forgets those that are gone, whose probes and other
// work it cancels. Only the turn calls it: a look that is older than the turn's would cancel work of replicas that it
// doesn't contain.
func (y *Readiness) Update(o rollout.Observed) {
	y.mu.Lock()
	defer y.mu.Unlock()
	here := map[string]bool{}
	for _, rep := range o.Replicas {
		here[rep.ID] = true
		if since, is := y.since(o, rep); is {
			y.ready[rep.ID] = since
			continue
		}
		delete(y.ready, rep.ID)
		if stop := y.running[rep.ID]; stop != nil && down(rep) {
			stop()
		}
	}
	maps.DeleteFunc(y.recorded, func(id string, _ bool) bool { return !here[id] })
	maps.DeleteFunc(y.ready, func(id string, _ time.Time) bool { return !here[id] })
	maps.DeleteFunc(y.output, func(id string, _ string) bool { return !here[id] })
	for id, stop := range y.running {
		if !here[id] {
			stop()
		}
	}
}

// Snapshot returns what is known of the observed replicas. It changes nothing.
func (y *Readiness) Snapshot(o rollout.Observed) Snapshot {
	y.mu.Lock()
	defer y.mu.Unlock()
	s := Snapshot{Since: map[string]time.Time{}, Accepts: maps.Clone(y.accepts), Recorded: maps.Clone(y.recorded)}
	for _, rep := range o.Replicas {
		if since, is := y.since(o, rep); is {
			s.Since[rep.ID] = since
		}
	}
	return s
}

// since reports whether a replica is ready, and since when. A running replica is ready without a probe if it already
// gets requests or if the engine's own check calls it healthy. So a daemon that was restarted finds things as they are.
// A replica that gets requests but started only a moment ago may have been routed before it was ready: it is probed.
func (y *Readiness) since(o rollout.Observed, rep rhumb.Replica) (time.Time, bool) {
	known, is := y.ready[rep.ID]
	route, routed := o.Routes[rep.ID]
	switch {
	case down(rep):
		return time.Time{}, false
	case is:
		return known, true
	case routed && !route.Draining && y.running[rep.ID] == nil && time.Since(rep.Started) >= rhumb.ReadyWindow:
		return rep.Started, true
	case rep.Health == rhumb.HealthHealthy:
		return time.Now(), true
	}
	return time.Time{}, false
}

// down reports whether a replica can't be ready, whatever a probe has shown.
func down(rep rhumb.Replica) bool { return !rep.Alive() || rep.Health == rhumb.HealthUnhealthy }

// Output returns what a replica's last probe said, if it failed.
func (y *Readiness) Output(id string) string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.output[id]
}

// Record remembers that the failure of a replica is recorded. An empty ID is ignored.
func (y *Readiness) Record(id string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if id != "" {
		y.recorded[id] = true
	}
}

// Recorded reports whether the failure of a replica is recorded.
func (y *Readiness) Recorded(id string) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.recorded[id]
}
