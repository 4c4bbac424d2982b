package rollout

import (
	"fmt"
	"reflect"
	"slices"

	"rhumb"
)

// simCheck holds the world against what DESIGN.md promises. It knows the truth, which Next only sees at a look.
type simCheck struct {
	s        *sim
	promised []promise
	steady   []string        // addresses that both releases have and that were published when the deployment began
	most     map[string]int  // replicas alive at most, by service
	wounded  map[place]bool  // slots that lost their replica by themselves, or had none when the deployment began
	excused  map[place]bool  // wounded slots that nothing heals: ended with 0, which may count as done, or being stopped when the daemon died
	failed   map[place]bool  // slots that have a failure in this deployment
	ran      map[string]int  // jobs' successes by service, in this deployment
	asked    map[string]bool // replicas that a decision in this phase has let stop
}

type place struct {
	service string
	slot    int
}

// promise is what a service that is in both releases must keep while it changes.
type promise struct {
	service string
	slots   int
	down    int // slots that may be without a replica at a time
}

func newSimCheck(s *sim) *simCheck {
	return &simCheck{s: s, most: map[string]int{}, asked: map[string]bool{}}
}

func (c *simCheck) fail(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// begin notes what a deployment must keep.
func (c *simCheck) begin() {
	s := c.s
	from, to := s.release(s.dep.From), s.release(s.dep.To)
	c.promised, c.steady = nil, nil
	c.wounded, c.excused, c.failed, c.ran = map[place]bool{}, map[place]bool{}, map[place]bool{}, map[string]int{}
	if to.model == nil || from.model == nil {
		c.measure(from, to)
		return
	}
	for i := range from.model.Services {
		old := &from.model.Services[i]
		now := to.model.Service(old.Name)
		if now == nil || old.Job || now.Job {
			continue
		}
		p := promise{service: old.Name, slots: min(old.Replicas, now.Replicas)}
		if old.Order == rhumb.StopFirst || now.Order == rhumb.StopFirst {
			p.down = max(limit(now.Update, now.Replicas), limit(old.Rollback, old.Replicas))
		}
		if joinsStopFirst(from.model, to.model, old.Name) || joinsStopFirst(to.model, from.model, old.Name) {
			p.down = p.slots
		}
		c.promised = append(c.promised, p)
		for _, a := range old.Addresses() {
			if s.published[a] != "" && wantedBy(to.model, a) != "" {
				c.steady = append(c.steady, a)
			}
		}
	}
	c.measure(from, to)
	c.excuse()
}

// joinsStopFirst tells whether in model a the service shares the network of one that is stop-first: it must go with it.
func joinsStopFirst(a, b *rhumb.Stack, service string) bool {
	def := a.Service(service)
	if def == nil {
		return false
	}
	on := networkOf(def)
	for _, m := range []*rhumb.Stack{a, b} {
		if x := m.Service(on); x != nil && x.Order == rhumb.StopFirst {
			return true
		}
	}
	return on != "" && joinsStopFirst(a, b, on)
}

func limit(p rhumb.Policy, replicas int) int {
	if p.Parallelism == 0 {
		return replicas
	}
	return p.Parallelism
}

func wantedBy(m *rhumb.Stack, address string) string {
	for i := range m.Services {
		if slices.Contains(m.Services[i].Addresses(), address) {
			return m.Services[i].Name
		}
	}
	return ""
}

// measure notes how many replicas of each service may be alive at once.
func (c *simCheck) measure(from, to *simRelease) {
	clear(c.most)
	clear(c.asked)
	for _, m := range []*rhumb.Stack{from.model, to.model} {
		if m == nil {
			continue
		}
		for i := range m.Services {
			def := &m.Services[i]
			replicas, more := 0, 0
			for _, m2 := range []*rhumb.Stack{from.model, to.model} {
				if d := m2.Service(def.Name); d != nil {
					replicas = max(replicas, d.Replicas)
					more = max(more, limit(d.Update, d.Replicas), limit(d.Rollback, d.Replicas))
				}
			}
			c.most[def.Name] = replicas + more
			if n := c.living(def.Name); n > def.Replicas {
				c.most[def.Name] += n - def.Replicas // left by an earlier deployment
			}
		}
	}
}

// living counts a service's replicas that are alive and not on their way out.
func (c *simCheck) living(service string) int {
	n := 0
	for _, r := range c.s.replicas {
		if r.Service == service && r.Slot > 0 && r.Alive() && !r.stopping && !r.leaving && !c.asked[r.ID] && !c.s.beingStopped(r.ID) && !c.s.shares(r) {
			n++
		}
	}
	return n
}

// shares tells whether others share the replica's network, so that it must wait for them.
func (s *sim) shares(r *simReplica) bool {
	return slices.ContainsFunc(s.replicas, func(x *simReplica) bool { return x.Joined == r.ID && x.Alive() })
}

// excuse marks the slots that aren't served now: that isn't this phase's doing.
func (c *simCheck) excuse() {
	for _, p := range c.promised {
		for slot := 1; slot <= p.slots; slot++ {
			if !c.served(p, slot) {
				c.wounded[place{p.service, slot}] = true
			}
			for _, r := range c.s.replicas {
				if r.Service == p.service && r.Slot == slot && r.State == rhumb.StateExited && r.code == 0 {
					c.wounded[place{p.service, slot}], c.excused[place{p.service, slot}] = true, true
				}
			}
		}
	}
}

func (c *simCheck) served(p promise, slot int) bool {
	for _, r := range c.s.replicas {
		if r.Service == p.service && r.Slot == slot && c.serves(r) {
			return true
		}
	}
	return false
}

// serves tells whether the replica does its work: those of a served service do in the table only.
func (c *simCheck) serves(r *simReplica) bool {
	if !c.s.answers(r) || c.s.recorded[r.ID] {
		return false
	}
	route, ok := c.s.routes[r.ID]
	if ok && !route.Draining {
		return true
	}
	if m := c.s.wanted().Model; m != nil {
		if def := m.Service(r.Service); def != nil && !def.Served() && c.s.release(c.s.wanted().Release).specs[def.Name] == r.Spec {
			return true
		}
	}
	return !c.s.release(r.Release).model.Service(r.Service).Served()
}

// promises checks that no service has less than was promised.
func (c *simCheck) promises() {
	if c.s.dep.Phase.Ended() {
		return
	}
	for _, p := range c.promised {
		down := 0
		for slot := 1; slot <= p.slots; slot++ {
			at := place{p.service, slot}
			if c.served(p, slot) {
				if c.wounded[at] && !c.excused[at] && !c.beingTakenOut(at) {
					delete(c.wounded, at)
				}
			} else if !c.wounded[at] {
				down++
			}
		}
		if down > p.down {
			c.fail("%s: %d slots are down, %d may be", p.service, down, p.down)
		}
	}
	for _, a := range c.steady {
		if c.s.published[a] == "" {
			c.fail("%s isn't published any more", a)
		}
	}
}

func (c *simCheck) beingTakenOut(at place) bool {
	return slices.ContainsFunc(c.s.flying, func(f *simFlight) bool {
		k := f.step.Kind
		return f.step.Service == at.service && f.step.Slot == at.slot && (k == rhumb.StepDrain || k == rhumb.StepUnroute || k == rhumb.StepStop)
	})
}

// hurt notes that a replica fell by itself, and with it those that share its network.
func (c *simCheck) hurt(r *simReplica) {
	at := place{r.Service, r.Slot}
	if c.wounded == nil {
		return
	}
	c.wounded[at] = true
	c.excused[at] = c.excused[at] || r.State == rhumb.StateExited && r.code == 0
	for _, other := range c.s.replicas {
		if other.Joined == r.ID {
			c.hurt(other)
		}
	}
}

// haunts notes that nobody knows any more that the replica is being stopped.
func (c *simCheck) haunts(r *simReplica) {
	c.hurt(r)
	if c.excused != nil {
		c.excused[place{r.Service, r.Slot}] = true
	}
}

func (c *simCheck) recorded(f rhumb.Failure) {
	if c.wounded != nil {
		c.wounded[place{f.Service, f.Slot}] = true
		c.failed[place{f.Service, f.Slot}] = true
	}
}

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
				continue // it isn't a service any more
			}
			if def := m.Service(r.Service); def != nil && !def.Job && def.Order == rhumb.StopFirst && (!s.dep.Phase.Ended() || n == s.current) {
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

// started checks that there aren't more than allowed, now that one runs.
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
		c.fail("%s is stopped while the table leads to it", r.Name())
	}
	r.useless = r.Alive() && !c.s.answers(r)
}

func (c *simCheck) removes(r *simReplica) {
	if _, routed := c.s.routes[r.ID]; routed {
		c.fail("%s is removed while the table leads to it", r.Name())
	}
}

func (c *simCheck) routes(r *simReplica) {
	if r.stopping && !r.haunted {
		c.fail("%s is routed while it is being stopped", r.Name())
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
		c.fail("%s: nobody can answer there", st)
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
		c.fail("%s, which nobody asked for", st)
	case rhumb.StepRun:
		if c.s.dep.Phase != rhumb.PhaseRolling || c.s.dep.Cause != rhumb.CauseDeploy {
			c.fail("%s outside of a deployment", st)
		}
		for _, r := range c.s.replicas {
			if r.Service == st.Service && r.Slot > 0 && r.Spec == c.s.release(st.Release).specs[st.Service] && r.State == rhumb.StateExited && r.ExitCode == 0 && r.Error == "" {
				c.fail("%s again, though it had completed", st)
			}
		}
	}
	if st.Slot == 0 && st.Replica != "" {
		c.fail("%s, which is nobody's", st)
	}
}

// decision checks what a look led to.
func (c *simCheck) decision(w Wanted, o Observed, d Decision) {
	s := c.s
	if s.turns%8 == 0 || s.trace != nil {
		if again := Next(w, o, s.now); !reflect.DeepEqual(d, again) {
			c.fail("the same look gave another decision:\n%v\n%v", d, again)
		}
	}
	for i, st := range d.Steps {
		if st.Kind == rhumb.StepStop {
			c.asked[st.Replica] = true
		}
		for _, other := range d.Steps[:i] {
			if st.Replica != "" && st.Replica == other.Replica || st == other {
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
	for _, name := range w.Jobs {
		c.ran[name]++
	}
	s.noteJobs(w)
}

// noteJobs writes down which jobs have completed, as the control does before it acts.
func (s *sim) noteJobs(w Wanted) {
	if w.Mode != Deploy || w.Model == nil {
		return
	}
	for _, r := range s.replicas {
		def := w.Model.Service(r.Service)
		if def != nil && def.Job && r.Slot > 0 && r.Spec == w.Specs[def.Name] && r.State == rhumb.StateExited && r.ExitCode == 0 && r.Error == "" &&
			r.Release == w.Release && !slices.Contains(s.dep.Jobs, def.Name) {
			s.dep.Jobs = append(s.dep.Jobs, def.Name)
		}
	}
}

// takenOut checks that surplus and orphans go only after all that is wanted is in place.
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

// filled tells whether the slot has a replica of the wanted spec that is ready, or that ended and stays so.
func (c *simCheck) filled(def *rhumb.Service, slot int, spec string) bool {
	if c.failed[place{def.Name, slot}] {
		return true
	}
	for _, r := range c.s.replicas {
		if r.Service == def.Name && r.Slot == slot && r.Spec == spec && (!r.Alive() && r.State != rhumb.StateCreated || c.serves(r) ||
			def.Ready.Kind == rhumb.ReadyRunning) {
			return true
		}
	}
	return false
}

// jobsFirst checks that nothing that works is touched before the jobs have run.
func (c *simCheck) jobsFirst(w Wanted, d Decision) {
	if w.Mode != Deploy || !w.RunJobs || w.Model == nil {
		return
	}
	needed := map[string]bool{}
	pending := false
	g := newGraph(w.Model)
	for i := len(g.order) - 1; i >= 0; i-- {
		def := g.order[i]
		if def.Job && !c.jobDone(w, def) {
			pending, needed[def.Name] = true, true
		}
		for _, dep := range g.edges[def.Name] {
			needed[dep.Service] = needed[dep.Service] || needed[def.Name]
		}
	}
	for _, st := range d.Steps {
		r := c.s.find(st.Replica)
		if pending && !needed[st.Service] && r != nil && r.Joined == "" && (st.Kind == rhumb.StepDrain || st.Kind == rhumb.StepStop) && c.s.release(w.Release).specs[st.Service] != r.Spec && c.serves(r) {
			c.fail("%s before all jobs have run", st)
		}
	}
}

func (c *simCheck) jobDone(w Wanted, def *rhumb.Service) bool {
	if slices.Contains(w.Jobs, def.Name) {
		return true
	}
	return slices.ContainsFunc(c.s.replicas, func(r *simReplica) bool {
		return r.Service == def.Name && r.Slot > 0 && r.Spec == w.Specs[def.Name] && r.State == rhumb.StateExited && r.ExitCode == 0
	})
}

// phase checks how a deployment ended.
func (c *simCheck) phase(to rhumb.Phase) {
	s := c.s
	switch to {
	case rhumb.PhaseRollingBack:
		c.measure(s.release(s.dep.From), s.release(s.dep.To))
		c.excuse()
	case rhumb.PhaseConverged:
		if s.dep.To == 0 {
			c.nothingLeft()
		} else {
			c.wholly(s.release(s.dep.To), false)
			c.watched()
		}
	case rhumb.PhaseRolledBack:
		if s.calm && s.stacks.calm {
			c.fail("it was put back though nothing went wrong: %s", s.dep.Why)
		}
		if s.dep.From == 0 {
			c.nothingLeft()
		} else {
			c.wholly(s.release(s.dep.From), true)
		}
	case rhumb.PhaseStuck, rhumb.PhaseIncomplete:
		if len(s.dep.Left) == 0 && s.dep.To != 0 {
			c.fail("%s, but nothing is left as it shouldn't be", to)
		}
		if s.calm && s.stacks.calm {
			c.fail("%s though nothing went wrong: %v", to, s.dep.Left)
		}
	}
}

// watched checks that what a deployment has made was ready for as long as its policy watches it.
func (c *simCheck) watched() {
	s := c.s
	for _, r := range s.replicas {
		def := s.release(s.dep.To).model.Service(r.Service)
		if def == nil || r.Slot == 0 || !r.Alive() || r.Release != s.dep.To || r.Created.Before(s.dep.Started) || r.Slot > def.Replicas {
			continue
		}
		if ran := s.now.Sub(r.readyAt); ran < def.Update.Monitor {
			c.fail("%s was watched for %s, not for %s", r.Name(), ran, def.Update.Monitor)
		}
	}
}

// nothingLeft checks that only volumes, and what isn't the stack's, remain.
func (c *simCheck) nothingLeft() {
	s := c.s
	for _, r := range s.replicas {
		if r.Slot > 0 {
			c.fail("%s is left", r.Name())
		}
	}
	if len(s.networks)+len(s.published)+len(s.routes) > 0 {
		c.fail("left: %v %v %v", s.networks, s.published, s.routes)
	}
}

// wholly checks that the release serves, and only that. strictly: nothing else is even left.
func (c *simCheck) wholly(rel *simRelease, strictly bool) {
	s := c.s
	for i := range rel.model.Services {
		def := &rel.model.Services[i]
		for slot := 1; slot <= def.Replicas && !def.Job; slot++ {
			if !c.filled2(def, slot, rel.specs[def.Name]) {
				c.fail("%s.%d isn't in place", def.Name, slot)
			}
		}
		for _, a := range def.Addresses() {
			if s.published[a] != def.Name {
				c.fail("%s isn't published for %s", a, def.Name)
			}
		}
	}
	for _, r := range s.replicas {
		def := rel.model.Service(r.Service)
		foreign := r.Slot > 0 && (def == nil || r.Spec != rel.specs[r.Service] || r.Slot > def.Replicas)
		if foreign && strictly {
			c.fail("%s is left", r.Name())
		}
		if route, ok := s.routes[r.ID]; foreign && ok && !route.Draining {
			c.fail("%s still gets connections", r.Name())
		}
	}
	if strictly {
		c.holdings(rel)
	}
}

// filled2 is filled without the excuse of a failure: a deployment that converged has none.
func (c *simCheck) filled2(def *rhumb.Service, slot int, spec string) bool {
	s := c.s
	for _, r := range s.replicas {
		if r.Service != def.Name || r.Slot != slot || r.Spec != spec {
			continue
		}
		if route, ok := s.routes[r.ID]; r.Alive() && (!r.stopping || r.haunted) && (!def.Served() || ok && !route.Draining) {
			return true
		}
		own := s.dep.Phase == rhumb.PhaseConverged && !r.Created.Before(s.dep.Started)
		stayed := !r.stopping || (s.recorded[r.ID] || r.useless) && s.dep.Phase == rhumb.PhaseRolledBack
		byItself := r.State == rhumb.StateExited && stayed && def.Restart.Condition != rhumb.RestartAny
		if byItself && (!own || r.code == 0 && !def.Served()) {
			return true
		}
	}
	return false
}

func (c *simCheck) holdings(rel *simRelease) {
	want := 0
	for _, n := range rel.model.Networks {
		if slices.Contains(c.s.networks, n.Name) {
			want++
		}
	}
	if want != len(rel.model.Networks) || want != len(c.s.networks) {
		c.fail("networks are %v", c.s.networks)
	}
	for a := range c.s.published {
		if wantedBy(rel.model, a) == "" {
			c.fail("%s is still published", a)
		}
	}
}

// quiet checks that nothing is left over once nothing more is done.
func (c *simCheck) quiet(d Decision) {
	s := c.s
	if s.dep.Phase != rhumb.PhaseConverged && s.dep.Phase != rhumb.PhaseRolledBack || !s.calm || !s.stacks.calm {
		return
	}
	if !d.Done {
		c.fail("quiet, but not done: %v", d.Waiting)
	}
	if s.current != 0 {
		c.wholly(s.release(s.current), true)
	}
}
