package standing

import "rhumb"

// AddressesFirst reports whether nothing may change before the service addresses in the table are up to date. A
// deployment waits for them, because its replicas would start without the names of services. Otherwise they are tried
// once before anything else, because all that follows is decided better with the new table.
func (st *Stack) AddressesFirst() bool {
	deploys := st.Wanted.Mode == Deploy && st.Wanted.Release != 0
	return st.Observed.StaleAddresses && (deploys || !st.Observed.AddressesFailed)
}

// Blocked says what the service waits for before its empty slots may be filled and its old replicas replaced, in plain
// words; "": nothing.
func (s *Service) Blocked() string {
	st := s.st
	if !st.Prepared() {
		return "waits for networks, volumes and addresses"
	}
	if s.WaitsForJobs() {
		return "waits for " + jobTitle(st.JobsDue[0].Name)
	}
	for _, d := range s.deps {
		if st.Wanted.Mode == Hold {
			break // everything has been there once, so that nothing needs to wait
		}
		on := st.byName[d.Service]
		if s.HookOf() != nil && on.Stands() {
			continue // a migration works on the database that serves, whether that will change or not
		}
		if why := unmet(on, d.Condition); why != "" {
			return "waits for " + why
		}
	}
	return s.Unjoined()
}

// WaitsForJobs reports whether jobs must run before any replica of the service changes.
func (s *Service) WaitsForJobs() bool { return len(s.st.JobsDue) > 0 && !s.needed }

// Unjoined says which service that this one joins isn't there, in plain words; "": all are.
func (s *Service) Unjoined() string {
	for _, name := range s.Container.Joins() {
		on := s.st.byName[name]
		if on == nil || on == s {
			continue
		}
		if why := unmet(on, rhumb.DependsStarted); why != "" {
			return "waits for " + why
		}
	}
	return ""
}

// unmet says in which way the service doesn't meet the condition; "": it does. Slots that are given up are passed over.
func unmet(s *Service, c rhumb.Condition) string {
	if s.Job {
		if s.Due {
			return jobTitle(s.Name)
		}
		return ""
	}
	o := s.st.Observed
	for i := range s.Slots {
		sl := &s.Slots[i]
		switch {
		case sl.Status == Resting || sl.Status == GivenUp:
		case c == rhumb.DependsHealthy && (!sl.Ready || s.HasRoutes && !o.Active(sl.Main)):
			return s.Name + " to be healthy"
		case sl.Main == nil || !sl.Main.Alive() || o.Stopping[sl.Main.ID] || o.Pending(sl.Main):
			return s.Name + " to be started"
		}
	}
	return ""
}

// markNeeded marks the services that a job which is due depends on: they may change before the job has run.
func markNeeded(st *Stack) {
	var mark func(s *Service)
	mark = func(s *Service) {
		if s.needed {
			return
		}
		s.needed = true
		for _, d := range s.deps {
			if on := st.byName[d.Service]; s.HookOf() == nil || !on.Stands() {
				mark(on)
			}
		}
	}
	for _, job := range st.JobsDue {
		mark(job)
	}
}

// jobTitle names a job or a hook.
func jobTitle(name string) string {
	if title := rhumb.JobTitle(name); title != name {
		return title
	}
	return "job " + name
}
