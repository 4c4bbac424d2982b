package rollout

import (
	"fmt"
	"slices"
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// advance lets time pass until something happens, and lets it happen. Sometimes the daemon misses that.
func (s *sim) advance(wake time.Time) {
	for {
		next := s.now.Add(10 * time.Second)
		if wake.After(s.now) && wake.Before(next) {
			next = wake
		}
		if t := s.simWorld.next(); !t.IsZero() && t.Before(next) {
			next = t
		}
		if t := s.nextPostStart(); !t.IsZero() && t.Before(next) {
			next = t
		}
		for _, f := range s.flying {
			if f.at.Before(next) {
				next = f.at
			}
		}
		if next.After(s.now) {
			s.now = next
		}
		s.now = s.now.Add(s.between(0, 30*time.Millisecond))
		s.happen()
		if s.calm || !s.chance(0.05) {
			return
		}
	}
}

// happen lets what is due happen.
func (s *sim) happen() {
	for _, r := range s.pass() {
		s.log("%s [%s] fell: %s %s", r.Name(), r.ID, r.State, r.Health)
		s.check.hurt(r)
	}
	s.check.promises()
	for _, f := range slices.Clone(s.flying) {
		goesOn := false
		switch {
		case f.at.After(s.now):
			continue
		case s.now.Before(s.away) && f.made == "" && f.step.Kind != rhumb.StepStop:
			s.log("%s: the engine is away", f.step)
		default:
			goesOn = s.perform(f)
		}
		if !goesOn {
			s.flying = slices.DeleteFunc(s.flying, func(x *simFlight) bool { return x == f })
		}
		s.check.promises()
	}
}

// perform does a step. It reports whether the step goes on.
func (s *sim) perform(f *simFlight) bool {
	st := f.step
	r := s.find(st.Replica)
	switch st.Kind {
	case rhumb.StepNetwork:
		s.networks = add(s.networks, st.Name)
	case rhumb.StepVolume:
		s.volumes = add(s.volumes, st.Name)
	case rhumb.StepRemoveNetwork:
		s.networks = drop(s.networks, st.Name)
	case rhumb.StepRemoveVolume:
		s.volumes = drop(s.volumes, st.Name)
	case rhumb.StepPublish:
		s.publish(st)
	case rhumb.StepUnpublish:
		delete(s.published, st.Name)
	case rhumb.StepStart, rhumb.StepRun:
		return s.performStart(f)
	case rhumb.StepStop:
		if r == nil {
			return false
		}
		s.stop(r)
		f.at = r.endsAt
		return r.Alive()
	case rhumb.StepCheck:
		s.performCheck(st)
	case rhumb.StepAddress:
		s.readdress(st)
	case rhumb.StepNames:
		if s.calm || !s.chance(0.1) {
			s.hosts[st.Replica] = s.addressed
		}
	case rhumb.StepRecord:
		s.record(rhumb.Failure{Service: st.Service, Slot: st.Slot, Release: st.Release, ID: st.Replica, Reason: st.Why})
	case rhumb.StepRemove:
		if r != nil && !r.Alive() {
			s.check.removes(r)
			s.remove(r)
		}
	default:
		s.reroute(st, r)
	}
	return false
}

func (s *sim) reroute(st rhumb.Step, r *simReplica) {
	if r == nil {
		delete(s.routes, st.Replica)
		return
	}
	switch st.Kind {
	case rhumb.StepRoute:
		s.check.routes(r)
		s.routes[r.ID] = Route{}
		r.leaving = false
	case rhumb.StepDrain:
		if route, ok := s.routes[r.ID]; ok && !route.Draining {
			s.routes[r.ID] = Route{Draining: true, Since: s.now}
			s.drain(r)
			r.leaving = true
		}
	case rhumb.StepUnroute:
		delete(s.routes, r.ID)
	}
}

func (s *sim) publish(st rhumb.Step) {
	if _, held := s.published[st.Name]; !held && !s.calm && s.dep.Phase == rhumb.PhaseRolling && s.chance(0.01) {
		s.record(rhumb.Failure{Service: st.Service, Release: st.Release, Reason: st.Name + " is taken"})
		return
	}
	s.check.publishes(st)
	s.published[st.Name] = st.Service
}

func (s *sim) record(f rhumb.Failure) {
	f.At = s.now
	if !s.dep.Phase.Ended() {
		s.dep.Failures = append(s.dep.Failures, f)
	}
	if f.ID != "" {
		s.recorded[f.ID] = true
	}
	s.check.recorded(f)
}

// performStart first creates the replica, and starts it in a later call.
func (s *sim) performStart(f *simFlight) bool {
	st := f.step
	rel := s.release(st.Release)
	def := rel.model.Service(st.Service)
	if f.made != "" {
		if r := s.find(f.made); r != nil && r.State == rhumb.StateCreated {
			s.check.starts(r)
			s.start(r, def, rel.quality[st.Service])
			s.hosts[r.ID] = s.addressed
			s.check.started(r)
		}
		return false
	}
	if dead := s.find(st.Replica); dead != nil {
		if dead.Alive() {
			panic(fmt.Sprintf("%s replaces %s, which is alive", st, dead.ID))
		}
		s.check.removes(dead)
		s.remove(dead)
	}
	if rel.quality[st.Service] == cantMake {
		s.record(rhumb.Failure{Service: st.Service, Slot: st.Slot, Release: st.Release, Reason: "can't be made"})
		return false
	}
	r := s.named(rhumb.ReplicaName("shop", st.Service, st.Release, st.Slot))
	switch {
	case r == nil:
		r = s.make(st.Service, st.Release, st.Slot, rel.specs[st.Service])
		r.Restarts, r.PostStart = st.Restarts, len(def.PostStart) > 0
	case r.Spec != rel.specs[st.Service]:
		panic(fmt.Sprintf("%s: another replica has the name", st))
	case r.State != rhumb.StateCreated:
		return false
	}
	return s.prepare(f, r, def)
}

// prepare joins a created replica to the network that it shares, and has it started a little later.
func (s *sim) prepare(f *simFlight, r *simReplica, def *rhumb.Service) bool {
	st, rel := f.step, s.release(f.step.Release)
	if on := standing.NetworkOf(def); on != "" && r.Joined == "" {
		r.Joined = s.joinable(on, rel)
		if r.Joined == "" {
			s.remove(r) // nothing to join: the engine refuses
			if s.chance(0.2) {
				s.record(rhumb.Failure{Service: st.Service, Slot: st.Slot, Release: st.Release,
					Reason: "there is no replica of " + on + " to join"})
			}
			return false
		}
	}
	f.made, f.at = r.ID, s.now.Add(s.between(10*time.Millisecond, 500*time.Millisecond))
	return true
}

// joinable picks the replica whose network is shared: of the wanted spec, and not on its way out.
func (s *sim) joinable(service string, rel *simRelease) string {
	best := ""
	for _, r := range s.replicas {
		if r.Service == service && r.Slot > 0 && r.Spec == rel.specs[service] && r.Alive() && !s.beingStopped(r.ID) &&
			r.Slot <= rel.model.Service(service).Replicas && (best == "" || s.answers(r) && !s.routes[r.ID].Draining) {
			best = r.ID
		}
	}
	return best
}

func add(list []string, x string) []string {
	if slices.Contains(list, x) {
		return list
	}
	return append(slices.Clone(list), x)
}

func drop(list []string, x string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(y string) bool { return x == y })
}
