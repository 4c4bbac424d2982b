package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"rhumb"
)

// sim is a daemon that drives one stack through its deployments, and that may die between any two steps.
type sim struct {
	*simWorld
	stacks *simStacks
	check  *simCheck
	trace  func(format string, args ...any) // nil: none

	// On disk.
	releases []*simRelease // by number - 1
	current  int
	dep      rhumb.Deployment
	recorded map[string]bool

	// In memory: lost when the daemon dies.
	flying  []*simFlight
	ready   map[string]time.Time
	watched time.Time
	mode    Mode

	turns       int
	deployments int
	gate        bool // nothing new is begun: a phase is about to change
}

// simFlight is a step under way.
type simFlight struct {
	step rhumb.Step
	at   time.Time
	made string // the ID of the replica that it has created and will start
	lost bool   // the daemon that began it is gone
}

func (s *sim) log(format string, args ...any) {
	if s.trace != nil {
		s.trace("%8.3f  "+format, append([]any{s.now.Sub(noon).Seconds()}, args...)...)
	}
}

func (s *sim) release(number int) *simRelease {
	if number == 0 {
		return &simRelease{}
	}
	return s.releases[number-1]
}

// wanted is what the store says.
func (s *sim) wanted() Wanted {
	w := Wanted{Stack: "shop", Mode: Hold}
	to, from := s.current, s.dep.From+s.dep.To-s.current
	switch s.dep.Phase {
	case rhumb.PhaseRolling:
		w.Mode, w.RunJobs, w.Jobs, w.Failures = Deploy, s.dep.Cause == rhumb.CauseDeploy, s.dep.Jobs, s.dep.Failures
		to, from = s.dep.To, s.dep.From
	case rhumb.PhaseRollingBack:
		w.Mode, w.Failures = Restore, s.dep.Failures
		to, from = s.dep.From, s.dep.To
	}
	if w.Mode != Hold {
		w.Since = s.dep.Started
	}
	w.Release, w.Model, w.Specs, w.Previous, w.OldSpecs = to, s.release(to).model, s.release(to).specs, s.release(from).model, s.release(from).specs
	return w
}

// look observes the world with what the daemon remembers.
func (s *sim) look() Observed {
	var o Observed
	s.observe(&o)
	o.Recorded, o.Watched = s.recorded, s.watched
	for _, r := range s.replicas {
		switch {
		case !s.answers(r) || s.beingStopped(r.ID):
			delete(s.ready, r.ID)
		case s.ready[r.ID].IsZero():
			s.ready[r.ID] = s.now
		}
	}
	o.Ready = s.ready
	o.Stopping = map[string]bool{}
	for _, f := range s.flying {
		if f.step.Kind == rhumb.StepStop {
			o.Stopping[f.step.Replica] = true
		}
	}
	return o
}

func (s *sim) beingStopped(id string) bool {
	return slices.ContainsFunc(s.flying, func(f *simFlight) bool { return f.step.Kind == rhumb.StepStop && f.step.Replica == id && !f.lost })
}

// turn looks, decides and acts once, and lets time pass.
func (s *sim) turn() {
	s.turns++
	if !s.calm && s.chance(0.01) {
		s.die()
	}
	if !s.calm && s.chance(0.005) {
		s.away = s.now.Add(s.between(0, 20*time.Second))
	}
	if s.now.Before(s.away) {
		s.advance(s.away)
		return
	}
	w, o := s.wanted(), s.look()
	d := Next(w, o, s.now)
	s.check.decision(w, o, d)
	if s.settle(d) {
		return
	}
	s.launch(d)
	s.advance(d.Wake)
}

// die forgets everything that isn't on disk. What the engine has begun goes on or is cut off.
func (s *sim) die() {
	s.log("the daemon dies")
	s.flying = slices.DeleteFunc(s.flying, func(f *simFlight) bool {
		f.lost = true
		if f.step.Kind == rhumb.StepStop {
			if r := s.find(f.step.Replica); r != nil && r.stopping {
				r.haunted = true
				s.check.haunts(r)
			}
			return true
		}
		return f.made == "" || s.chance(0.5)
	})
	s.ready, s.watched = map[string]time.Time{}, s.now
}

// settle moves the deployment on once the decision says so and nothing is under way that a look could miss.
func (s *sim) settle(d Decision) bool {
	var to rhumb.Phase
	switch {
	case s.dep.Phase == rhumb.PhaseRolling && s.dep.Cancel:
		to = rhumb.PhaseRollingBack
	case s.dep.Phase == rhumb.PhaseRolling && d.Failed != "":
		to = rhumb.PhaseRollingBack
		if d.Action == rhumb.ActionPause {
			to = rhumb.PhasePaused
		} else if s.dep.To == 0 {
			to = rhumb.PhaseStuck
		}
	case s.dep.Phase == rhumb.PhaseRolling && d.Done:
		to = rhumb.PhaseConverged
		if len(d.Left) > 0 {
			to = rhumb.PhaseIncomplete
		}
	case s.dep.Phase == rhumb.PhaseRollingBack && d.Done:
		to = rhumb.PhaseRolledBack
	case s.dep.Phase == rhumb.PhaseRollingBack && d.Failed != "":
		to = rhumb.PhaseStuck
	}
	s.gate = to != "" && slices.ContainsFunc(s.flying, func(f *simFlight) bool { return f.step.Kind != rhumb.StepStop })
	if to == "" || s.gate {
		return false
	}
	s.log("%s -> %s %s %v", s.dep.Phase, to, d.Failed, d.Left)
	s.dep.Left = d.Left
	if err := s.dep.Move(to, s.now, d.Failed); err != nil {
		panic(err)
	}
	switch to {
	case rhumb.PhaseConverged, rhumb.PhasePaused, rhumb.PhaseIncomplete:
		s.current = s.dep.To
	}
	s.check.phase(to)
	return true
}

// launch begins the steps that aren't under way: some of them, in any order.
func (s *sim) launch(d Decision) {
	if s.gate {
		return
	}
	steps := slices.Clone(d.Steps)
	if !s.calm {
		s.rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	}
	for _, st := range steps {
		if s.blocked(st) || !s.calm && s.chance(0.1) {
			continue
		}
		s.log("%s [%s]", st, st.Replica)
		s.flying = append(s.flying, &simFlight{step: st, at: s.now.Add(s.between(0, 200*time.Millisecond))})
		s.check.launched(st)
		if st.Kind == rhumb.StepStop {
			s.check.stops(s.find(st.Replica))
		}
	}
}

// blocked tells whether the step, or another about the same replica or a start in the same slot, is under way.
func (s *sim) blocked(st rhumb.Step) bool {
	for _, f := range s.flying {
		if f.step == st {
			return true
		}
		if st.Slot > 0 && f.step.Service == st.Service && f.step.Slot == st.Slot && (isStart(f.step) || f.step.Replica == st.Replica) {
			return true
		}
	}
	return false
}

func isStart(st rhumb.Step) bool { return st.Kind == rhumb.StepStart || st.Kind == rhumb.StepRun }

// advance lets time pass until something happens, and lets it happen. Sometimes nobody hears of it.
func (s *sim) advance(wake time.Time) {
	for {
		next := s.now.Add(10 * time.Second)
		if wake.After(s.now) && wake.Before(next) {
			next = wake
		}
		if t := s.simWorld.next(); !t.IsZero() && t.Before(next) {
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

// perform does a step, and tells whether it goes on.
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

// performStart makes the replica at first, and starts it later.
func (s *sim) performStart(f *simFlight) bool {
	st := f.step
	rel := s.release(st.Release)
	def := rel.model.Service(st.Service)
	if f.made != "" {
		if r := s.find(f.made); r != nil && r.State == rhumb.StateCreated {
			s.check.starts(r)
			s.start(r, def, rel.quality[st.Service])
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
		r.Restarts = st.Restarts
	case r.Spec != rel.specs[st.Service]:
		panic(fmt.Sprintf("%s: the name is another's", st))
	case r.State != rhumb.StateCreated:
		return false
	}
	if on := networkOf(def); on != "" && r.Joined == "" {
		r.Joined = s.joinable(on, rel)
		if r.Joined == "" {
			s.remove(r) // nothing to join: the engine refuses, it is tried again, and given up in the end
			if s.chance(0.2) {
				s.record(rhumb.Failure{Service: st.Service, Slot: st.Slot, Release: st.Release, Reason: "there is no replica of " + on + " to join"})
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

func newSim(seed uint64, trace func(string, ...any)) *sim {
	rng := rand.New(rand.NewPCG(seed, 1))
	calm := seed%4 == 0
	s := &sim{simWorld: newSimWorld(rng, calm), trace: trace, recorded: map[string]bool{}, ready: map[string]time.Time{}, watched: noon}
	s.stacks = &simStacks{rng: rng, calm: seed%8 == 0, ports: map[string]uint16{}}
	for i, n := range simNames {
		s.stacks.ports[n] = uint16(8000 + i)
	}
	s.check = newSimCheck(s)
	s.dep.Phase = rhumb.PhaseConverged
	return s
}
