package standing

import (
	"fmt"
	"slices"
	"time"

	"rhumb"
)

// due reports whether the service is a job that has yet to complete in this deployment. Not every deployment runs jobs.
// look is when the first of its running replicas has taken too long.
func due(s *Service) (due bool, look time.Time) {
	w := &s.st.Wanted
	if !s.Job || w.Mode != Deploy || !w.RunJobs || slices.Contains(w.Jobs, s.Name) {
		return false, look
	}
	for _, r := range s.All {
		if r.Spec != s.Spec {
			continue
		}
		if s.Completed(r) {
			return false, look
		}
		look = Earliest(look, s.RunsUntil(r))
	}
	if of := s.HookOf(); of != nil {
		return dueBefore(s, of), look
	}
	return true, look
}

// HookOf returns the service whose pre_start hook s is; nil: it is no hook.
func (s *Service) HookOf() *Service {
	of, _, ok := rhumb.HookOf(s.Name)
	if !ok {
		return nil
	}
	return s.st.byName[of]
}

// dueBefore reports whether a hook must run before its service's replicas change. Its own spec may have changed, which
// contains the service's hash. Or an earlier deployment ended too soon, and no replica of the service's spec was ever
// started.
func dueBefore(s, of *Service) bool {
	if s.Changed() {
		return true
	}
	return of.Replicas > 0 && !slices.ContainsFunc(of.All, func(r *rhumb.Replica) bool {
		return r.Spec == of.Spec && r.State != rhumb.StateCreated
	})
}

// CurrentJob reports whether a job's replica is of the wanted spec and can be used.
func (s *Service) CurrentJob(r *rhumb.Replica) bool {
	if r.Spec != s.Spec || r.Slot != 1 {
		return false
	}
	return r.State != rhumb.StateCreated || r.Release == s.st.Wanted.Release && s.Due
}

// Overdue says that a job's replica has run longer than it may; "": it hasn't.
func (s *Service) Overdue(r *rhumb.Replica) string {
	at, limited := deadline(s.Service, r)
	if r.Alive() && limited && !s.st.Now.Before(at) || !r.Alive() && ranTooLong(s.Service, r) {
		return fmt.Sprintf("took longer than %s", s.Ready.Timeout)
	}
	return ""
}

// RunsUntil returns when a running replica of a job has run for as long as it may; zero: it isn't limited, or has.
func (s *Service) RunsUntil(r *rhumb.Replica) time.Time {
	if at, limited := deadline(s.Service, r); limited && r.Alive() && s.st.Now.Before(at) {
		return at
	}
	return time.Time{}
}

// deadline returns when a job's replica has run for as long as it may. It isn't limited if there is no such time.
func deadline(def *rhumb.Service, r *rhumb.Replica) (at time.Time, limited bool) {
	if !def.Job || def.Ready.Timeout <= 0 || r.Started.IsZero() {
		return time.Time{}, false
	}
	return r.Started.Add(def.Ready.Timeout), true
}

// ranTooLong reports whether a dead replica of a job had run for longer than it may.
func ranTooLong(def *rhumb.Service, r *rhumb.Replica) bool {
	at, limited := deadline(def, r)
	return limited && !r.Finished.Before(at)
}
