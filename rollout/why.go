package rollout

import (
	"fmt"
	"slices"
	"strings"

	"rhumb/rollout/diff"
)

// whyNew says why a replica is started. It depends on definitions alone, so that the step stays the same.
func (s *service) whyNew(sl *slot, restarts int) string {
	switch {
	case restarts > 0:
		return "it had ended"
	case s.t.w.Mode == Hold:
		return "missing"
	case s.t.w.Mode == Restore:
		return "back to " + s.t.release()
	case s.prev == nil:
		return "new"
	}
	if s.why == "" {
		s.why = s.whatChanged()
	}
	if s.why == "missing" && sl.n > s.prev.Replicas {
		return fmt.Sprintf("replicas %d -> %d", s.prev.Replicas, s.Replicas)
	}
	return s.why
}

// whyRun says why a job runs.
func (s *service) whyRun() string {
	if of := s.hookOf(); of != nil {
		return "before " + of.Name + " changes"
	}
	return s.whyNew(&slot{n: 1}, 0)
}

// whyOld says why an old replica of a slot goes.
func (s *service) whyOld() string {
	if s.t.w.Mode != Restore && s.prev != nil && s.hookOf() == nil {
		if s.why == "" {
			s.why = s.whatChanged()
		}
		if s.why != "missing" {
			return s.why
		}
	}
	return "replaced by " + s.t.release()
}

// whatChanged names what differs from the release that is left behind; "missing": nothing.
func (s *service) whatChanged() string {
	if !s.changed() {
		return "missing"
	}
	what := diff.Replicas(s.prev, s.Service, s.t.w.Previous, s.t.w.Model)
	switch {
	case len(what) == 0:
		return "missing"
	case slices.Equal(what, []string{diff.RestartAsked}):
		return diff.RestartAsked
	case len(what) > 3:
		what = append(what[:3:3], "more")
	}
	return strings.Join(what, ", ") + " changed"
}

func (t *turn) whySurplus(s *service) string {
	if t.w.Mode != Restore && s.prev != nil && s.prev.Replicas != s.Replicas {
		return fmt.Sprintf("replicas %d -> %d", s.prev.Replicas, s.Replicas)
	}
	return "surplus"
}

// whyGone says why something goes that the wanted release doesn't have.
func (t *turn) whyGone() string {
	switch {
	case t.w.Release == 0:
		return "nothing shall be left"
	case t.w.Mode == Restore:
		return "not in " + t.release()
	}
	return "not in " + t.release() + " any more"
}

func (t *turn) release() string { return fmt.Sprintf("%s@%d", t.w.Stack, t.w.Release) }
