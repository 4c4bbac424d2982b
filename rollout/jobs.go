package rollout

import (
	"slices"

	"rhumb"
)

// mustRun tells whether the service is a job that has yet to complete in this deployment. Only a deployment that
// was asked to runs jobs.
func (s *service) mustRun() bool {
	if !s.Job || s.t.w.Mode != Deploy || !s.t.w.RunJobs || slices.Contains(s.t.w.Jobs, s.Name) {
		return false
	}
	for _, r := range s.replicas {
		if r.Spec == s.spec && s.completed(r) {
			return false
		}
	}
	if of := s.hookOf(); of != nil {
		return s.dueBefore(of)
	}
	return true
}

// runJob runs the job if it must, and takes out what isn't as wanted.
func (s *service) runJob() {
	must, inTheWay := s.mustRun(), false
	for _, r := range s.replicas {
		switch {
		case must && r.Release != s.t.w.Release && r.Spec != s.spec && s.completed(r):
			// It stays until this one has completed: if that fails, nothing was changed.
		case !s.currentJob(r):
			inTheWay = inTheWay || r.Alive() && len(s.t.joiners[r.ID]) == 0 || r.Release == s.t.w.Release
			s.t.retire(r, 0, s.whyOld(), false)
		case !must:
		case r.State == rhumb.StateCreated:
		case r.Alive():
			inTheWay = true
			s.t.waits(s.Name, "running")
			if s.overdue(r) && !s.t.o.Stopping[r.ID] {
				s.t.about(rhumb.StepStop, r, tookLonger(s.Ready.Timeout))
			}
		case s.t.own(r) && !s.t.o.Recorded[r.ID]:
			inTheWay = true
			s.t.about(rhumb.StepRecord, r, s.deathOf(r))
		default: // it failed in an earlier deployment
			inTheWay = inTheWay || r.Release == s.t.w.Release
			s.t.retire(r, 0, "failed before", false)
		}
	}
	if must && !inTheWay && s.failed == 0 && s.open() {
		s.t.step(rhumb.Step{Kind: rhumb.StepRun, Service: s.Name, Release: s.t.w.Release, Slot: 1, Why: s.whyRun()})
	}
}

// currentJob tells whether a job's replica is of the wanted spec and can be gone on with.
func (s *service) currentJob(r *rhumb.Replica) bool {
	return r.Spec == s.spec && r.Slot == 1 && (r.State != rhumb.StateCreated || r.Release == s.t.w.Release && s.mustRun())
}
