package rollout

import (
	"fmt"
	"time"

	"rhumb"
)

// ready tells whether the replica is ready, and since when. What has been recorded as failed, or is being stopped, isn't.
func (s *service) ready(r *rhumb.Replica) (time.Time, bool) {
	t := s.t
	if !r.Alive() || r.Health == rhumb.HealthUnhealthy || t.o.Recorded[r.ID] || t.o.Stopping[r.ID] {
		return time.Time{}, false
	}
	pending, hooked := t.beforeReady(r)
	if pending {
		return time.Time{}, false
	}
	if s.Ready.Kind == rhumb.ReadyRunning {
		since := r.Started
		if hooked.After(since) {
			since = hooked
		}
		if t.o.Watched.After(since) && !t.active(r) {
			since = t.o.Watched // somebody may have told it to stop before
		}
		since = since.Add(s.Ready.Runs())
		return since, t.passed(since)
	}
	since, ok := t.o.Ready[r.ID]
	return since, ok
}

// limit is how long a replica may take until it is ready.
func (s *service) limit() time.Duration {
	if s.Ready.Timeout > 0 && s.Ready.Kind != rhumb.ReadyRunning {
		return s.Ready.Timeout
	}
	return rhumb.ReadyTimeout
}

// failing says why an alive replica of the wanted spec must die; "": it need not. A replica in the table was ready once,
// and is left alone until the engine calls it unhealthy; except that one that was routed while nothing else was there
// (accepts) still has to become ready in time.
func (s *service) failing(r *rhumb.Replica) string {
	t := s.t
	if !r.Alive() {
		return ""
	}
	if r.Health == rhumb.HealthUnhealthy {
		return "is unhealthy"
	}
	if t.o.Recorded[r.ID] {
		return "has failed"
	}
	pending, hooked := t.beforeReady(r)
	if pending {
		return "" // they have a limit of their own
	}
	if _, ok := s.ready(r); ok || s.Ready.Kind == rhumb.ReadyRunning || t.routed(r) && s.Ready.Window == 0 {
		return ""
	}
	from := r.Started
	if hooked.After(from) {
		from = hooked
	}
	if t.o.Watched.After(from) {
		from = t.o.Watched
	}
	if t.o.Accepts[r.ID] {
		return "" // it came in time; once its window is over it is ready, or doesn't accept any more
	}
	if t.passed(from.Add(s.limit())) {
		return fmt.Sprintf("was not ready within %s", s.limit())
	}
	return ""
}

// deathOf says how a dead replica ended.
func deathOf(r *rhumb.Replica) string {
	switch {
	case r.Error != "":
		return "could not be started: " + r.Error
	case r.OOM:
		return "ran out of memory"
	case r.Started.IsZero() || !r.Finished.After(r.Started):
		return fmt.Sprintf("exited with %d", r.ExitCode)
	}
	return fmt.Sprintf("exited with %d after %s", r.ExitCode, brief(r.Finished.Sub(r.Started)))
}

// brief rounds a duration to what a person reads.
func brief(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
