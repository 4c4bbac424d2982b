package standing

import (
	"fmt"
	"slices"
	"time"

	"rhumb"
)

// Converged reports whether a deployment has reached the wanted release. Old replicas may still drain.
func (st *Stack) Converged() bool {
	return st.InPlace() && st.Calm() && !st.OldServes() && len(st.Unchecked()) == 0
}

// InPlace reports whether everything that the wanted release has is there, each replica ready or rightly ended.
func (st *Stack) InPlace() bool { return st.Prepared() && st.Settled() && st.Published() }

// Settled reports whether the service needs nothing more than that old replicas go.
func (s *Service) Settled() bool {
	if s.Job {
		return !s.Due
	}
	for i := range s.Slots {
		if !s.Slots[i].Settled() {
			return false
		}
	}
	return true
}

// Settled reports whether no service needs anything more than that old replicas go.
func (st *Stack) Settled() bool {
	for _, s := range st.Services {
		if !s.Settled() {
			return false
		}
	}
	return true
}

// Calm reports whether the replicas that this deployment has made have run without a failure for as long as their
// services' policies watch them.
func (st *Stack) Calm() bool {
	return !slices.ContainsFunc(st.Services, func(s *Service) bool { return !s.WatchedUntil().IsZero() })
}

// WatchedUntil returns when the first of the service's watched replicas has run for long enough; zero: none is watched.
// Only a deployment watches, and only the replicas that it has made.
func (s *Service) WatchedUntil() time.Time {
	var until time.Time
	if s.st.Wanted.Mode != Deploy || s.Policy.Monitor <= 0 {
		return until
	}
	for i := range s.Slots {
		sl := &s.Slots[i]
		if sl.Status != InPlace || !s.st.Wanted.Made(sl.Main) {
			continue
		}
		if at := sl.Since.Add(s.Policy.Monitor); s.st.Now.Before(at) {
			until = Earliest(until, at)
		}
	}
	return until
}

// Unchecked returns the services whose check must still pass before the deployment has converged.
func (st *Stack) Unchecked() []*Service {
	var list []*Service
	for _, s := range st.Services {
		if s.After != nil && st.Wanted.RunJobs && !slices.Contains(st.Wanted.Checked, s.Name) {
			list = append(list, s)
		}
	}
	return list
}

// OldServes reports whether new connections still go to a replica that the wanted release doesn't have. The old
// replicas of a slot that is given up stay, so they don't count.
func (st *Stack) OldServes() bool {
	active := st.Observed.Active
	for _, s := range st.Services {
		for i := range s.Slots {
			if sl := &s.Slots[i]; sl.Status != GivenUp && slices.ContainsFunc(sl.Old, active) {
				return true
			}
		}
		if slices.ContainsFunc(s.Surplus, active) {
			return true
		}
	}
	return slices.ContainsFunc(st.Orphans, active)
}

// Removed reports whether nothing of the stack is left but its volumes, and those neither if they are to be removed.
func (st *Stack) Removed() bool {
	o := st.Observed
	if st.Wanted.Volumes && len(o.Volumes) > 0 {
		return false
	}
	return !anyLeaver(st) && len(o.Published) == 0 && len(o.Networks) == 0
}

// PutBack reports whether everything is as in the wanted release, and nothing else is left.
func (st *Stack) PutBack() bool {
	return st.InPlace() && len(st.Unwanted()) == 0 && len(st.ExtraNetworks()) == 0 && !anyLeaver(st)
}

func anyLeaver(st *Stack) bool {
	for range st.Leavers() {
		return true
	}
	return false
}

// AnyGivenUp reports whether a slot, or an address, is given up.
func (st *Stack) AnyGivenUp() bool {
	for _, s := range st.Services {
		if s.Failures.In(0).Count > maxRestores {
			return true
		}
		for i := range s.Slots {
			if s.Slots[i].Status == GivenUp {
				return true
			}
		}
	}
	return false
}

// Left returns what isn't as wanted, in plain words.
func (st *Stack) Left() []string {
	var left []string
	w := &st.Wanted
	for _, s := range st.Services {
		if s.Job {
			continue
		}
		for i := range s.Slots {
			sl := &s.Slots[i]
			if sl.Status == InPlace || sl.Status == Resting {
				continue
			}
			what := s.Failures.In(sl.N).Reason // a later reason may only be that the replica was stopped
			if what == "" {
				what = sl.Reason
			}
			if what == "" {
				what = "isn't ready"
			}
			left = append(left, fmt.Sprintf("%s: %s", rhumb.ReplicaName(w.Stack, s.Name, w.Release, sl.N), what))
		}
		if c := s.Failures.In(0); c.Count > 0 {
			left = append(left, fmt.Sprintf("%s: %s", s.Name, c.Reason))
		}
	}
	if w.Mode == Restore {
		for r := range st.Leavers() {
			left = append(left, r.Name()+": still there")
		}
	}
	return left
}
