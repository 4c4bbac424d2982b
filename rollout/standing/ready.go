package standing

import (
	"fmt"
	"time"

	"rhumb"
)

// readiness is how far a replica of the wanted spec has come. A replica may be neither ready nor failing.
type readiness struct {
	ready   bool
	since   time.Time // since when it is ready, if it is
	failing string    // why it must be stopped, in plain words; "": it need not
	look    time.Time // when that changes though nothing else happens; zero: no time is known
}

// readiness returns how far the replica has come. A replica whose failure has been recorded, or that is being stopped,
// isn't ready. A replica in the table was ready once, and is left alone until the engine calls it unhealthy. One with a
// window may have been routed only because no other was there, so it must still become ready in time.
func (s *Service) readiness(r *rhumb.Replica) readiness {
	o := s.st.Observed
	switch {
	case !r.Alive():
		return readiness{}
	case r.Health == rhumb.HealthUnhealthy:
		return readiness{failing: "is unhealthy"}
	case o.Recorded[r.ID]:
		return readiness{failing: "has failed"}
	case o.Stopping[r.ID], o.Pending(r): // post_start hooks have a limit of their own
		return readiness{}
	}
	if since, ok := ReadySince(o, s.Service, r); ok {
		if s.st.Now.Before(since) {
			return readiness{look: since}
		}
		return readiness{ready: true, since: since}
	}
	if o.Routed(r) && s.Ready.Window == 0 || o.Accepts[r.ID] { // what accepts came in time; its window decides the rest
		return readiness{}
	}
	late := latest(r.Started, o.PostStart[r.ID], o.Watched).Add(limit(s.Service))
	if s.st.Now.Before(late) {
		return readiness{look: late}
	}
	return readiness{failing: fmt.Sprintf("was not ready within %s", limit(s.Service))}
}

// ReadySince reports whether a replica counts as ready, and since when. If since is still to come, the replica counts
// as ready from then on unless something happens before. A replica whose failure is recorded or that is being stopped
// isn't ready. def is the service as the replica's release has it; nil if it isn't known. A replica that nothing checks
// is ready once it has run for long enough.
func ReadySince(o *Observed, def *rhumb.Service, r *rhumb.Replica) (since time.Time, ok bool) {
	switch {
	case !r.Alive() || r.Health == rhumb.HealthUnhealthy || o.Recorded[r.ID] || o.Stopping[r.ID] || o.Pending(r):
		return time.Time{}, false
	case def == nil || def.Ready.Kind != rhumb.ReadyRunning:
		since, ok = o.Ready[r.ID]
		return since, ok
	}
	since = latest(r.Started, o.PostStart[r.ID])
	if !o.Active(r) {
		since = latest(since, o.Watched) // an earlier daemon may have been stopping it
	}
	return since.Add(def.Ready.Runs()), true
}

// limit is how long a replica may take until it is ready.
func limit(def *rhumb.Service) time.Duration {
	if def.Ready.Timeout > 0 && def.Ready.Kind != rhumb.ReadyRunning {
		return def.Ready.Timeout
	}
	return rhumb.ReadyTimeout
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, at := range others {
		if at.After(first) {
			first = at
		}
	}
	return first
}
