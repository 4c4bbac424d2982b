package standing

import (
	"slices"
	"time"

	"rhumb"
)

// Service is one wanted service and how its slots stand.
type Service struct {
	*rhumb.Service
	Prev      *rhumb.Service   // in the release that is left behind; nil: it isn't there
	Spec      string           // the wanted spec hash
	OldSpec   string           // the spec hash in the release that is left behind; "": it isn't there
	Order     rhumb.Order      // stop-first if either release calls the service so: the old replica holds the same data
	Policy    rhumb.Policy     // how it changes now: its rollback policy while the stack is put back
	HasRoutes bool             // the table has, or will have, routes to its replicas
	All       []*rhumb.Replica // every replica of that name, in the order of the look
	Slots     []Slot           // by number - 1
	Surplus   []*rhumb.Replica // in slots beyond the wanted number
	Due       bool             // it is a job that must run in this deployment and hasn't completed
	Failures  Failures         // of this deployment

	st     *Stack
	deps   []rhumb.Dependency
	needed bool      // a job that is due depends on it
	look   time.Time // when a running job's time is over
}

func newService(st *Stack, def *rhumb.Service, deps []rhumb.Dependency) *Service {
	w := &st.Wanted
	def = def.Applied()
	s := &Service{Service: def, st: st, deps: deps, Spec: w.Specs[def.Name], Prev: w.Previous.Service(def.Name).Applied()}
	if s.Spec == "" {
		s.Spec = def.Container.Hash()
	}
	if s.Prev != nil {
		if s.OldSpec = w.OldSpecs[def.Name]; s.OldSpec == "" {
			s.OldSpec = s.Prev.Container.Hash()
		}
	}
	s.HasRoutes = st.Observed.routesTo(def)
	s.Policy = def.Update
	if w.Mode == Restore {
		s.Policy = def.Rollback
	}
	s.Order = def.Order
	if s.Prev != nil && s.Prev.Order == rhumb.StopFirst {
		s.Order = rhumb.StopFirst
	}
	s.Failures.of = s
	return s
}

// Changed reports whether the release that is left behind has another spec of the service, or none.
func (s *Service) Changed() bool { return s.OldSpec != s.Spec }

// AwaitsRoute reports whether the replica is known to be of no use outside the table. Nothing is known of a replica
// that neither the wanted release nor the one that is left behind has made.
func (s *Service) AwaitsRoute(r *rhumb.Replica) bool {
	switch r.Spec {
	case s.Spec:
		return s.HasRoutes
	case s.OldSpec:
		return s.Prev != nil && s.st.Observed.routesTo(s.Prev)
	}
	return false
}

// Serves reports whether an old replica still does its work, as far as can be observed.
func (s *Service) Serves(r *rhumb.Replica) bool {
	o := s.st.Observed
	if !r.Alive() || o.Stopping[r.ID] || o.Pending(r) {
		return false
	}
	if route, ok := o.Routes[r.ID]; ok {
		return !route.Draining
	}
	_, ready := o.Ready[r.ID]
	return ready || !s.AwaitsRoute(r)
}

// Stands reports whether replicas from before this deployment do the service's work. A hook of another service then
// needn't wait for new ones.
func (s *Service) Stands() bool {
	return slices.ContainsFunc(s.All, func(r *rhumb.Replica) bool { return !s.st.Wanted.Made(r) && s.Serves(r) })
}

// Completed reports whether a dead replica has done its work and the restart policy leaves it at that.
func (s *Service) Completed(r *rhumb.Replica) bool { return s.st.Observed.completed(s.Service, r) }

// Unrecorded reports whether the replica's failure must still be recorded. Of a deployment's own release only the
// replicas that it has started count: the others aren't its failures.
func (s *Service) Unrecorded(r *rhumb.Replica) bool {
	w := &s.st.Wanted
	return !s.st.Observed.Recorded[r.ID] && (w.Mode == Hold || r.Release != w.Release || w.Made(r))
}

// Stray reports whether the replica shares the network of a replica that is gone, so that nothing reaches it any more.
func (s *Service) Stray(r *rhumb.Replica) bool {
	on := s.st.byName[NetworkOf(s.Service)]
	return r.Spec == s.Spec && r.Joined != "" && on != nil && on != s && !anyAlive(on.All, r.Joined)
}

// anyAlive reports whether there is an alive replica of that ID.
func anyAlive(rs []*rhumb.Replica, id string) bool {
	for _, r := range rs {
		if r.ID == id {
			return r.Alive()
		}
	}
	return false
}

// eachLeaver yields the service's replicas that the wanted release doesn't have. It reports whether to go on.
func (s *Service) eachLeaver(yield func(*rhumb.Replica) bool) bool {
	if s.Job {
		for _, r := range s.All {
			if !s.CurrentJob(r) && !yield(r) {
				return false
			}
		}
		return true
	}
	for i := range s.Slots {
		for _, r := range s.Slots[i].Old {
			if !yield(r) {
				return false
			}
		}
	}
	for _, r := range s.Surplus {
		if !yield(r) {
			return false
		}
	}
	return true
}

// Answers reports whether the service has a replica in place, or won't have one.
func (s *Service) Answers() bool {
	settled := true
	for i := range s.Slots {
		if s.Slots[i].Status == InPlace {
			return true
		}
		settled = settled && s.Slots[i].Settled()
	}
	return settled
}
