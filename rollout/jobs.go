package rollout

import (
	"rhumb"
	"rhumb/rollout/standing"
)

// run is the strategy of jobs and hooks: it runs the job if it is due, and takes out replicas that aren't as wanted.
func run(t *turn, s *standing.Service) {
	inTheWay := false
	for _, r := range s.All {
		switch {
		case s.Due && r.Release != t.Wanted.Release && r.Spec != s.Spec && s.Completed(r):
			// It stays until the new job has completed. If that fails, nothing was changed.
		case !s.CurrentJob(r):
			inTheWay = inTheWay || r.Alive() && len(t.Joiners(r.ID)) == 0 || r.Release == t.Wanted.Release
			t.retire(r, 0, t.why.old(s), false)
		case s.Due:
			inTheWay = t.attend(s, r) || inTheWay
		}
	}
	if !s.Due || inTheWay || s.Failures.Count > 0 {
		return
	}
	if blocked := s.Blocked(); blocked != "" {
		t.wait(s.Name, blocked)
		return
	}
	t.step(rhumb.Step{Kind: rhumb.StepRun, Service: s.Name, Release: t.Wanted.Release, Slot: 1, Why: t.why.run(s)})
}

// attend does what the current replica of a job that is due needs. It reports whether the job can't be run beside it.
func (t *turn) attend(s *standing.Service, r *rhumb.Replica) (inTheWay bool) {
	switch {
	case r.State == rhumb.StateCreated:
		return false
	case r.Alive():
		t.wait(s.Name, "running")
		if late := s.Overdue(r); late != "" && !t.Observed.Stopping[r.ID] {
			t.about(rhumb.StepStop, r, late)
		}
		return true
	case t.Wanted.Made(r) && !t.Observed.Recorded[r.ID]:
		why := s.Overdue(r)
		if why == "" {
			why = standing.DeathOf(r)
		}
		t.about(rhumb.StepRecord, r, why)
		return true
	}
	t.retire(r, 0, "failed before", false) // in an earlier deployment
	return r.Release == t.Wanted.Release
}
