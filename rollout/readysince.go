package rollout

import (
	"time"

	"rhumb"
)

// ReadySince reports whether a replica counts as ready, and since when. If since is still to come, the replica counts as
// ready from then on unless something happens before. A replica whose failure is recorded or that is being stopped isn't
// ready. def is the service as the replica's release has it; nil if it isn't known.
func ReadySince(o *Observed, def *rhumb.Service, r rhumb.Replica) (since time.Time, ok bool) {
	if !r.Alive() || r.Health == rhumb.HealthUnhealthy || o.Recorded[r.ID] || o.Stopping[r.ID] {
		return time.Time{}, false
	}
	hooked, has := o.PostStart[r.ID]
	if has && hooked.IsZero() {
		return time.Time{}, false
	}
	if def == nil || def.Ready.Kind != rhumb.ReadyRunning {
		since, ok = o.Ready[r.ID]
		return since, ok
	}
	since = r.Started
	if hooked.After(since) {
		since = hooked
	}
	if route, routed := o.Routes[r.ID]; o.Watched.After(since) && (!routed || route.Draining) {
		since = o.Watched // the replica may have been told to stop before
	}
	return since.Add(def.Ready.Runs()), true
}
