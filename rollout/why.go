package rollout

import (
	"fmt"
	"slices"
	"strings"

	"rhumb/rollout/diff"
	"rhumb/rollout/standing"
)

// reasons are the words of steps. They depend on definitions alone, so that the same step has the same words.
type reasons struct {
	st      *standing.Stack
	changed map[string]string // by service: what changed, once it was asked for
}

// start says why a replica is started in a slot. restarts is how often it has crashed in a row.
func (y *reasons) start(s *standing.Service, slot, restarts int) string {
	w := &y.st.Wanted
	switch {
	case restarts > 0:
		return "it had ended"
	case w.Mode == Hold:
		return "missing"
	case w.Mode == Restore:
		return "back to " + w.Ref()
	case s.Prev == nil:
		return "new"
	}
	why := y.change(s)
	if why == "missing" && slot > s.Prev.Replicas {
		return fmt.Sprintf("replicas %d -> %d", s.Prev.Replicas, s.Replicas)
	}
	return why
}

// run says why a job runs.
func (y *reasons) run(s *standing.Service) string {
	if of := s.HookOf(); of != nil {
		return "before " + of.Name + " changes"
	}
	return y.start(s, 1, 0)
}

// old says why an old replica of a slot goes.
func (y *reasons) old(s *standing.Service) string {
	if y.st.Wanted.Mode != Restore && s.Prev != nil && s.HookOf() == nil {
		if why := y.change(s); why != "missing" {
			return why
		}
	}
	return "replaced by " + y.st.Wanted.Ref()
}

// change says what differs from the release that is left behind; "missing": nothing.
func (y *reasons) change(s *standing.Service) string {
	if why := y.changed[s.Name]; why != "" {
		return why
	}
	if y.changed == nil {
		y.changed = map[string]string{}
	}
	y.changed[s.Name] = whatChanged(s, &y.st.Wanted)
	return y.changed[s.Name]
}

func whatChanged(s *standing.Service, w *Wanted) string {
	if !s.Changed() {
		return "missing"
	}
	what := diff.Replicas(s.Prev, s.Service, w.Previous, w.Model)
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

// surplus says why a replica beyond the wanted number goes.
func (y *reasons) surplus(s *standing.Service) string {
	if y.st.Wanted.Mode != Restore && s.Prev != nil && s.Prev.Replicas != s.Replicas {
		return fmt.Sprintf("replicas %d -> %d", s.Prev.Replicas, s.Replicas)
	}
	return "surplus"
}

// gone says why something goes that the wanted release doesn't have.
func (y *reasons) gone() string {
	w := &y.st.Wanted
	switch {
	case w.Release == 0:
		return "everything is removed"
	case w.Mode == Restore:
		return "not in " + w.Ref()
	}
	return "not in " + w.Ref() + " any more"
}
