package rollout

import (
	"fmt"
	"slices"
	"time"

	"rhumb"
)

// hookOf gives the service whose pre_start hook s is; nil: it is none.
func (s *service) hookOf() *service {
	of, _, ok := rhumb.HookOf(s.Name)
	if !ok {
		return nil
	}
	return s.t.byName[of]
}

// dueBefore tells whether a hook must run before the service's replicas change: its own spec, which has the service's hash in it,
// has changed; or nothing of the service's spec was ever started, because an earlier deployment didn't get that far.
func (s *service) dueBefore(of *service) bool {
	if s.changed() {
		return true
	}
	return of.Replicas > 0 && !slices.ContainsFunc(of.replicas, func(r *rhumb.Replica) bool {
		return r.Spec == of.spec && r.State != rhumb.StateCreated
	})
}

// stands tells whether replicas from before this deployment do the service's work: hooks of others needn't wait for new ones.
func (s *service) stands() bool {
	return slices.ContainsFunc(s.replicas, func(r *rhumb.Replica) bool { return !s.t.own(r) && s.serves(r) })
}

// overdue tells whether a job has run longer than it may.
func (s *service) overdue(r *rhumb.Replica) bool {
	limit := s.Ready.Timeout
	if !s.Job || limit <= 0 || r.Started.IsZero() {
		return false
	}
	if r.Alive() {
		return s.t.passed(r.Started.Add(limit))
	}
	return r.Finished.Sub(r.Started) >= limit
}

func tookLonger(limit time.Duration) string { return fmt.Sprintf("took longer than %s", limit) }

// deathOf says how a dead replica ended.
func (s *service) deathOf(r *rhumb.Replica) string {
	if s.overdue(r) {
		return tookLonger(s.Ready.Timeout)
	}
	return deathOf(r)
}

// Completed tells whether a replica of a job has done its work: it has exited with 0, in time.
func Completed(def *rhumb.Service, r rhumb.Replica) bool {
	s := &service{Service: def, t: &turn{o: &Observed{}}}
	return def.Job && s.completed(&r)
}

// beforeReady tells whether the replica's post_start hooks haven't completed, and when they had.
func (t *turn) beforeReady(r *rhumb.Replica) (pending bool, since time.Time) {
	since, has := t.o.PostStart[r.ID]
	return has && since.IsZero(), since
}

// pending tells whether the replica's post_start hooks haven't completed.
func (t *turn) pending(r *rhumb.Replica) bool {
	yes, _ := t.beforeReady(r)
	return yes
}

// checked tells whether the checks that must pass before the deployment has converged have passed, and asks for those that haven't.
// They are asked once everything is in place.
func (t *turn) checked() bool {
	all := true
	for _, s := range t.services {
		if s.After == nil || !t.w.RunJobs || slices.Contains(t.w.Checked, s.Name) {
			continue
		}
		t.step(rhumb.Step{Kind: rhumb.StepCheck, Service: s.Name, Release: t.w.Release, Why: "before " + t.release() + " counts as converged"})
		t.waits(s.Name, "checked")
		all = false
	}
	return all
}
