package rollout

import (
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
	flying     []*simFlight
	ready      map[string]time.Time
	watched    time.Time
	accepted   map[string]time.Time // by replica ID: since when its check passes
	postStarts map[string]time.Time // by replica ID: when its post_start hooks end
	tries      int                  // how often the service addresses could not be brought up to date
	hosts      map[string]string    // by replica ID: the service addresses in its hosts file

	turns       int
	deployments int
	gate        bool // the phase is about to change, so no step is begun
}

// simFlight is a step under way.
type simFlight struct {
	step rhumb.Step
	at   time.Time
	made string // the ID of the replica that it has created and will start
	lost bool   // the daemon that began it has died
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

// wanted returns what the store has.
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
		w.Since, w.Checked = s.dep.Started, s.dep.Checked
	}
	w.Release, w.Model, w.Specs = to, s.release(to).model, s.release(to).specs
	w.Previous, w.OldSpecs = s.release(from).model, s.release(from).specs
	return w
}

// look returns the world as the daemon observes it, with what it remembers.
func (s *sim) look() Observed {
	var o Observed
	s.observe(&o)
	s.runPostStarts(&o)
	o.Recorded, o.Watched = s.recorded, s.watched
	for _, r := range s.replicas {
		switch {
		case !s.answers(r) || s.beingStopped(r.ID):
			delete(s.ready, r.ID)
			delete(s.accepted, r.ID)
		case s.ready[r.ID].IsZero() && s.steady(r, o.Routes):
			s.ready[r.ID] = s.now
		}
	}
	o.Ready, o.Accepts = s.ready, map[string]bool{}
	for id := range s.accepted {
		o.Accepts[id] = s.ready[id].IsZero()
	}
	o.Stopping = map[string]bool{}
	for _, f := range s.flying {
		if f.step.Kind == rhumb.StepStop {
			o.Stopping[f.step.Replica] = true
		}
	}
	s.lookInside(&o)
	return o
}

// steady reports whether a replica that answers has done so for the whole of its window, as far as the daemon knows. A
// replica that is in the table and was started long ago certainly has.
func (s *sim) steady(r *simReplica, routes map[string]Route) bool {
	def := s.release(r.Release).model.Service(r.Service)
	if def == nil || def.Ready.Kind != rhumb.ReadyTCP {
		return true
	}
	since, known := s.accepted[r.ID]
	if !known {
		since, s.accepted[r.ID] = s.now, s.now
	}
	route, routed := routes[r.ID]
	if s.now.Sub(since) >= def.Ready.Window {
		return true
	}
	return routed && !route.Draining && s.now.Sub(r.Started) >= rhumb.ReadyWindow && !known
}

// steadyAt is when the first window ends; zero: none is under way.
func (s *sim) steadyAt() time.Time {
	var first time.Time
	for id, since := range s.accepted {
		r := s.find(id)
		if r == nil || !s.ready[id].IsZero() {
			continue
		}
		at := since.Add(s.release(r.Release).model.Service(r.Service).Ready.Window)
		if at.After(s.now) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

func (s *sim) beingStopped(id string) bool {
	return slices.ContainsFunc(s.flying, func(f *simFlight) bool {
		return f.step.Kind == rhumb.StepStop && f.step.Replica == id && !f.lost
	})
}

// turn looks, decides and launches steps once, and lets time pass.
func (s *sim) turn() {
	s.turns++
	if !s.calm && s.chance(0.01) {
		s.die()
	}
	if !s.calm && s.chance(0.005) {
		s.away = s.now.Add(s.between(0, 20*time.Second))
	}
	if !s.calm {
		s.meddle()
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
	if at := s.steadyAt(); d.Wake.IsZero() || !at.IsZero() && at.Before(d.Wake) {
		d.Wake = at
	}
	s.advance(d.Wake)
}

// meddle lets people change the world by hand. They cut a replica off from a network, or run a proxy that makes no
// service addresses, or makes them again. No deployment is to blame for what follows.
func (s *sim) meddle() {
	if len(s.replicas) > 0 && s.chance(0.002) {
		r := s.replicas[s.rng.IntN(len(s.replicas))]
		def := s.release(r.Release).model.Service(r.Service)
		comesBack := def != nil && def.Restart.Condition == rhumb.RestartAny // others would only be reported
		if r.Slot > 0 && r.Alive() && r.Joined == "" && comesBack {
			s.log("%s [%s] is cut off from a network", r.Name(), r.ID)
			r.severed = true
			s.check.hurt(r)
		}
	}
	if s.chance(0.002) {
		s.log("the proxy has lost its service addresses, and refuses new ones for a while")
		s.addressed, s.refuses = "lost", s.now.Add(s.between(0, 20*time.Second))
	}
	if !s.chance(0.001) {
		return
	}
	s.segments = pick(s.rng, nil, map[string]bool{"shop_default": true, "shop_back": true})
	s.log("service addresses: %v", s.segments)
	for _, r := range s.replicas {
		if def := s.release(r.Release).model.Service(r.Service); def != nil && !def.Served() {
			if !s.hasRoutes(def) {
				delete(s.routes, r.ID)
			}
			s.check.hurt(r)
		}
	}
}

// die forgets everything that isn't on disk. Each step under way goes on without the daemon or is cut off.
func (s *sim) die() {
	s.log("the daemon dies")
	s.flying = slices.DeleteFunc(s.flying, func(f *simFlight) bool {
		f.lost = true
		if f.step.Kind == rhumb.StepStop {
			if r := s.find(f.step.Replica); r != nil && r.stopping {
				r.forgotten = true
				s.check.forgets(r)
			}
			return true
		}
		return f.made == "" || s.chance(0.5)
	})
	s.ready, s.watched, s.postStarts = map[string]time.Time{}, s.now, map[string]time.Time{}
	s.accepted = map[string]time.Time{}
	s.tries, s.hosts = 0, map[string]string{}
}

// settle changes the deployment's phase if the decision says so. No step that a look could miss may be under way.
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
	s.gate = to != "" && slices.ContainsFunc(s.flying, func(f *simFlight) bool {
		return f.step.Kind != rhumb.StepStop && f.step.Kind != rhumb.StepCheck && f.step.Kind != rhumb.StepNames
	})
	if to == "" || s.gate {
		return false
	}
	s.log("%s -> %s %s %v", s.dep.Phase, to, d.Failed, d.Left)
	s.dep.Left, s.tries = d.Left, 0
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

// launch begins some of the steps that aren't under way, in any order.
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

// blocked reports whether the step, or another about the same replica or a start in the same slot, is under way. No
// step waits for names.
func (s *sim) blocked(st rhumb.Step) bool {
	for _, f := range s.flying {
		if f.step == st {
			return true
		}
		if st.Kind == rhumb.StepNames || f.step.Kind == rhumb.StepNames {
			continue
		}
		sameSlot := st.Slot > 0 && f.step.Service == st.Service && f.step.Slot == st.Slot
		if sameSlot && (isStart(f.step) || f.step.Replica == st.Replica) {
			return true
		}
	}
	return false
}

func isStart(st rhumb.Step) bool { return st.Kind == rhumb.StepStart || st.Kind == rhumb.StepRun }

func newSim(seed uint64, trace func(string, ...any)) *sim {
	rng := rand.New(rand.NewPCG(seed, 1))
	calm := seed%4 == 0
	s := &sim{simWorld: newSimWorld(rng, calm), trace: trace, recorded: map[string]bool{},
		ready:    map[string]time.Time{},
		accepted: map[string]time.Time{}, watched: noon, postStarts: map[string]time.Time{},
		hosts: map[string]string{}}
	s.stacks = &simStacks{rng: rng, calm: seed%8 == 0, ports: map[string]uint16{}, hooked: map[string]bool{}}
	for i, n := range simNames {
		s.stacks.ports[n] = uint16(8000 + i)
	}
	switch rng.IntN(4) { // some worlds have no service addresses, or not in all networks
	case 0:
	case 1:
		s.segments = map[string]bool{"shop_default": true}
	default:
		s.segments = map[string]bool{"shop_default": true, "shop_back": true}
	}
	s.check = newSimCheck(s)
	s.dep.Phase = rhumb.PhaseConverged
	return s
}
