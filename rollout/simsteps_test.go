package rollout

import (
	"reflect"
	"slices"

	"rhumb"
	"rhumb/rollout/standing"
)

// starts checks what must hold when a replica begins to run.
func (c *simCheck) starts(r *simReplica) {
	s := c.s
	if slices.Contains(s.networksMissing(r.Release), true) {
		c.fail("%s starts without its networks", r.Name())
	}
	first := false
	for _, n := range []int{s.dep.From, s.dep.To} {
		if m := s.release(n).model; m != nil {
			if w := s.wanted().Model.Service(r.Service); w != nil && w.Job {
				continue // it has become a job
			}
			def := m.Service(r.Service)
			stopFirst := def != nil && !def.Job && def.Order == rhumb.StopFirst
			if stopFirst && (!s.dep.Phase.Ended() || n == s.current) {
				first = true
			}
		}
	}
	for _, other := range s.replicas {
		if first && other != r && other.Service == r.Service && other.Slot == r.Slot && other.Alive() {
			c.fail("%s starts while %s is alive, and it is stop-first", r.Name(), other.Name())
		}
	}
}

func (s *sim) networksMissing(release int) []bool {
	var missing []bool
	for _, n := range s.release(release).model.Networks {
		missing = append(missing, !slices.Contains(s.networks, n.Name))
	}
	return missing
}

// started checks, once a replica runs, that there aren't more than allowed.
func (c *simCheck) started(r *simReplica) {
	if r.State == rhumb.StateExited {
		c.hurt(r)
	}
	if n := c.living(r.Service); !c.s.dep.Phase.Ended() && n > c.most[r.Service] {
		c.fail("%d replicas of %s are alive, at most %d may be", n, r.Service, c.most[r.Service])
	}
}

func (c *simCheck) stops(r *simReplica) {
	if r == nil {
		return
	}
	if _, routed := c.s.routes[r.ID]; routed {
		c.fail("%s is stopped while it is in the table", r.Name())
	}
	r.useless = r.Alive() && !c.s.answers(r)
}

func (c *simCheck) removes(r *simReplica) {
	if _, routed := c.s.routes[r.ID]; routed {
		c.fail("%s is removed while it is in the table", r.Name())
	}
}

func (c *simCheck) routes(r *simReplica) {
	if r.stopping && !r.forgotten {
		c.fail("%s is routed while it is being stopped", r.Name())
	}
	s := c.s
	def := s.release(r.Release).model.Service(r.Service)
	running := def.Ready.Kind == rhumb.ReadyRunning && !def.Served() && s.now.Sub(r.Started) < def.Ready.Runs()
	accepting := def.Ready.Kind == rhumb.ReadyTCP && s.now.Sub(r.readyAt) < def.Ready.Window
	if !running && !accepting || s.wanted().Mode != Deploy {
		return
	}
	for _, other := range s.replicas { // only where there is no old one may it be routed before its window has passed
		route, routed := s.routes[other.ID]
		old := other.Service == r.Service && other.Spec != r.Spec && other.Alive()
		if old && routed && !route.Draining {
			c.fail("%s is routed before its window has passed, and %s is there", r.Name(), other.Name())
		}
	}
	if r.PostStart && r.hooksDone.IsZero() {
		c.fail("%s is routed before its hooks have completed", r.Name())
	}
}

// publishes checks that an address moves only to a service that can answer.
func (c *simCheck) publishes(st rhumb.Step) {
	s := c.s
	holder := s.published[st.Name]
	if holder == "" || holder == st.Service {
		return
	}
	for _, r := range s.replicas {
		if r.Service != st.Service || r.Slot == 0 {
			continue
		}
		if _, routed := s.routes[r.ID]; routed || !r.Alive() || c.failed[place{r.Service, r.Slot}] {
			return
		}
	}
	if s.release(st.Release).model.Service(st.Service).Replicas > 0 && !c.anyFailed(st.Service) {
		c.fail("%s: no replica can answer there", st)
	}
}

func (c *simCheck) anyFailed(service string) bool {
	for at := range c.failed {
		if at.service == service {
			return true
		}
	}
	return false
}

// launched checks a step when it begins.
func (c *simCheck) launched(st rhumb.Step) {
	switch st.Kind {
	case rhumb.StepRemoveVolume:
		c.fail("%s, which no one asked for", st)
	case rhumb.StepRun:
		if c.s.dep.Phase != rhumb.PhaseRolling || c.s.dep.Cause != rhumb.CauseDeploy {
			c.fail("%s outside of a deployment", st)
		}
		for _, r := range c.s.replicas {
			rel := c.s.release(st.Release)
			current := r.Service == st.Service && r.Slot > 0 && r.Spec == rel.specs[st.Service]
			if current && Completed(rel.model.Service(st.Service), r.Replica) {
				c.fail("%s again, though it had completed", st)
			}
		}
	}
	if st.Slot == 0 && st.Replica != "" && st.Kind != rhumb.StepNames {
		c.fail("%s, which is a one-off", st)
	}
}

// decision checks a look and the decision that follows from it.
func (c *simCheck) decision(w Wanted, o Observed, d Decision) {
	s := c.s
	if c.each != nil {
		c.each(w, o, d)
	}
	if s.turns%8 == 0 || s.trace != nil {
		if again := Next(w, o, s.now); !reflect.DeepEqual(d, again) {
			c.fail("the same look has another decision:\n%v\n%v", d, again)
		}
	}
	for i, st := range d.Steps {
		if st.Kind == rhumb.StepCheck {
			c.asks(w, st)
		}
		if st.Kind == rhumb.StepStop {
			c.asked[st.Replica] = true
		}
		for _, other := range d.Steps[:i] {
			names := st.Kind == rhumb.StepNames || other.Kind == rhumb.StepNames
			if st.Replica != "" && st.Replica == other.Replica && !names || st == other {
				c.fail("two steps about one thing: %s, %s", st, other)
			}
		}
		r := s.find(st.Replica)
		if st.Kind == rhumb.StepRemove && r != nil && r.Alive() {
			c.fail("%s, which is alive", st)
		}
		if w.Mode == Deploy && r != nil && (st.Kind == rhumb.StepDrain || st.Kind == rhumb.StepStop) {
			c.takenOut(w, st, r)
		}
	}
	c.jobsFirst(w, d)
	c.inside(w, o, d)
	for _, name := range w.Jobs {
		c.ran[name]++
	}
	s.noteJobs(w)
}

// noteJobs records which jobs have completed, as the caller does before it acts.
func (s *sim) noteJobs(w Wanted) {
	if w.Mode != Deploy || w.Model == nil {
		return
	}
	for _, r := range s.replicas {
		def := w.Model.Service(r.Service)
		if def != nil && Completed(def, r.Replica) && r.Slot > 0 && r.Spec == w.Specs[def.Name] &&
			r.Release == w.Release && !slices.Contains(s.dep.Jobs, def.Name) {
			s.dep.Jobs = append(s.dep.Jobs, def.Name)
		}
	}
}

// takenOut checks that surplus replicas and orphans go only once everything that is wanted is in place.
func (c *simCheck) takenOut(w Wanted, st rhumb.Step, r *simReplica) {
	if w.Model == nil || !c.serves(r) || r.Joined != "" {
		return
	}
	def := w.Model.Service(st.Service)
	if def != nil && (def.Job || st.Slot <= def.Replicas) {
		return
	}
	if route, ok := c.s.routes[r.ID]; ok && route.Draining {
		return
	}
	for i := range w.Model.Services {
		want := &w.Model.Services[i]
		for slot := 1; slot <= want.Replicas && !want.Job; slot++ {
			if !c.filled(want, slot, w.Specs[want.Name]) {
				c.fail("%s before %s.%d is in place", st, want.Name, slot)
			}
		}
	}
}

// filled reports whether the slot has a replica of the wanted spec that is ready, or that ended and stays so.
func (c *simCheck) filled(def *rhumb.Service, slot int, spec string) bool {
	if c.failed[place{def.Name, slot}] {
		return true
	}
	for _, r := range c.s.replicas {
		ended := !r.Alive() && r.State != rhumb.StateCreated
		if r.Service == def.Name && r.Slot == slot && r.Spec == spec &&
			(ended || c.serves(r) || def.Ready.Kind == rhumb.ReadyRunning) {
			return true
		}
	}
	return false
}

// jobsFirst checks that no replica that serves is touched before the jobs have run.
func (c *simCheck) jobsFirst(w Wanted, d Decision) {
	if w.Mode != Deploy || !w.RunJobs || w.Model == nil {
		return
	}
	needed := map[string]bool{}
	pending := false
	g := standing.NewGraph(w.Model)
	for i := len(g.Order) - 1; i >= 0; i-- {
		def := g.Order[i]
		if def.Job && !c.jobDone(w, def) {
			pending, needed[def.Name] = true, true
		}
		_, _, hook := rhumb.HookOf(def.Name)
		for _, dep := range g.Edges[def.Name] {
			if hook && c.stands(dep.Service) {
				continue // it migrates the database that is there
			}
			needed[dep.Service] = needed[dep.Service] || needed[def.Name]
		}
	}
	for _, st := range d.Steps {
		r := c.s.find(st.Replica)
		takesOut := r != nil && r.Joined == "" && (st.Kind == rhumb.StepDrain || st.Kind == rhumb.StepStop)
		if !pending || needed[st.Service] || !takesOut {
			continue
		}
		if c.s.release(w.Release).specs[st.Service] != r.Spec && c.serves(r) {
			c.fail("%s before all jobs have run", st)
		}
	}
}

func (c *simCheck) jobDone(w Wanted, def *rhumb.Service) bool {
	if slices.Contains(w.Jobs, def.Name) {
		return true
	}
	if _, _, hook := rhumb.HookOf(def.Name); hook && w.OldSpecs[def.Name] == w.Specs[def.Name] {
		return true // its service doesn't change, or an earlier deployment has begun to change it
	}
	return slices.ContainsFunc(c.s.replicas, func(r *simReplica) bool {
		return r.Service == def.Name && r.Slot > 0 && r.Spec == w.Specs[def.Name] && Completed(def, r.Replica)
	})
}
