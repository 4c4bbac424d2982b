package rollout

import (
	"fmt"
	"time"

	"rhumb"
)

// ready reports whether the replica is ready, and since when.
func (s *service) ready(r *rhumb.Replica) (time.Time, bool) {
	since, ok := ReadySince(s.t.o, s.Service, *r)
	return since, ok && s.t.passed(since)
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
