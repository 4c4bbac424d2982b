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
	case s.Ready.Kind == rhumb.ReadyRunning:
		return s.runs(r)
	}
	if since, ok := o.Ready[r.ID]; ok {
		return readiness{ready: true, since: since}
	}
	if o.Routed(r) && s.Ready.Window == 0 || o.Accepts[r.ID] { // what accepts came in time; its window decides the rest
		return readiness{}
	}
	late := latest(r.Started, o.PostStart[r.ID], o.Watched).Add(s.limit())
	if s.st.Now.Before(late) {
		return readiness{look: late}
	}
	return readiness{failing: fmt.Sprintf("was not ready within %s", s.limit())}
}

// runs returns the readiness of an alive replica that nothing checks: it is ready once it has run for long enough.
func (s *Service) runs(r *rhumb.Replica) readiness {
	o := s.st.Observed
	since := latest(r.Started, o.PostStart[r.ID])
	if !o.Active(r) {
		since = latest(since, o.Watched) // an earlier daemon may have been stopping it
	}
	if since = since.Add(s.Ready.Runs()); s.st.Now.Before(since) {
		return readiness{look: since}
	}
	return readiness{ready: true, since: since}
}

// limit is how long a replica may take until it is ready.
func (s *Service) limit() time.Duration {
	if s.Ready.Timeout > 0 && s.Ready.Kind != rhumb.ReadyRunning {
		return s.Ready.Timeout
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
