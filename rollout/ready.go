package rollout

import (
	"fmt"
	"time"

	"rhumb"
)

const (
	readyTimeout = time.Minute     // a replica that isn't ready by then has failed, unless the service says otherwise
	readyWindow  = 5 * time.Second // a replica without any check is ready when it has run that long
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
		since = since.Add(window(s.Service))
		return since, t.passed(since)
	}
	since, ok := t.o.Ready[r.ID]
	return since, ok
}

// window is how long a replica without any check must have run.
func window(def *rhumb.Service) time.Duration {
	if def.Ready.Timeout > 0 {
		return def.Ready.Timeout
	}
	return readyWindow
}

// failing says why an alive replica of the wanted spec must die; "": it need not. What the table leads to was ready
// once, and is left alone until the engine calls it unhealthy.
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
	if _, ok := s.ready(r); ok || s.Ready.Kind == rhumb.ReadyRunning || t.routed(r) {
		return ""
	}
	limit := s.Ready.Timeout
	if limit <= 0 {
		limit = readyTimeout
	}
	from := r.Started
	if hooked.After(from) {
		from = hooked
	}
	if t.o.Watched.After(from) {
		from = t.o.Watched
	}
	if t.passed(from.Add(limit)) {
		return fmt.Sprintf("was not ready within %s", limit)
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
