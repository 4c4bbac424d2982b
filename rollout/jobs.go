package rollout

import (
	"slices"

	"rhumb"
	"rhumb/rollout/standing"
)

// job is the strategy of jobs and hooks.
type job struct {
	*turn
	s *standing.Service
}

// run runs the job if it is due, and takes out replicas that aren't as wanted.
func run(t *turn, s *standing.Service) {
	j := job{t, s}
	for _, r := range s.All {
		j.tend(r)
	}
	if !s.Due || s.Failures.Count > 0 || slices.ContainsFunc(s.All, j.inTheWay) {
		return
	}
	if blocked := s.Blocked(); blocked != "" {
		t.wait(s.Name, blocked)
		return
	}
	t.step(rhumb.Step{Kind: rhumb.StepRun, Service: s.Name, Release: t.Wanted.Release, Slot: 1, Why: t.why.run(s)})
}

// tend does what a replica of the job needs.
func (j *job) tend(r *rhumb.Replica) {
	s := j.s
	if j.former(r) {
		j.look = standing.Earliest(j.look, s.RunsUntil(r)) // its time is over then, unless it ends before
	}
	switch {
	case j.former(r) && s.Completed(r):
		// It stays until the new job has completed. If that fails, nothing was changed.
	case !s.CurrentJob(r):
		j.retire(r, 0, j.why.old(s), false)
	case !s.Due || r.State == rhumb.StateCreated:
	case r.Alive():
		j.wait(s.Name, "running")
		if late := s.Overdue(r); late != "" && !j.Observed.Stopping[r.ID] {
			j.about(rhumb.StepStop, r, late)
		}
	case j.unrecorded(r):
		why := s.Overdue(r)
		if why == "" {
			why = standing.DeathOf(r)
		}
		j.about(rhumb.StepRecord, r, why)
	default:
		j.retire(r, 0, "failed before", false) // in an earlier deployment
	}
}

// inTheWay reports whether a job that is due can't be run because of the replica.
func (j *job) inTheWay(r *rhumb.Replica) bool {
	namesake := r.Release == j.Wanted.Release
	switch {
	case j.former(r) && j.s.Completed(r):
		return false
	case !j.s.CurrentJob(r):
		return namesake || r.Alive() && len(j.Joiners(r.ID)) == 0
	case r.State == rhumb.StateCreated:
		return false
	}
	return namesake || r.Alive() || j.unrecorded(r)
}

// former reports whether the replica is of another release's job, and the wanted one is due.
func (j *job) former(r *rhumb.Replica) bool {
	return j.s.Due && r.Release != j.Wanted.Release && r.Spec != j.s.Spec
}

// unrecorded reports whether the replica's failure is this deployment's, and must still be recorded.
func (j *job) unrecorded(r *rhumb.Replica) bool {
	return j.Wanted.Made(r) && !j.Observed.Recorded[r.ID]
}
