package rollout

import (
	"fmt"
	"slices"

	"rhumb"
	"rhumb/rollout/standing"
)

// simCheck holds the world against what DESIGN.md promises. It knows the truth, which Next only sees at a look.
type simCheck struct {
	s        *sim
	promised []promise
	steady   []string                         // addresses that both releases have and that were published when the deployment began
	most     map[string]int                   // replicas alive at most, by service
	wounded  map[place]bool                   // slots that lost their replica by themselves, or had none when the deployment began
	excused  map[place]bool                   // wounded slots that nothing heals: ended with 0, which may count as done, or being stopped when the daemon died
	failed   map[place]bool                   // slots that have a failure in this deployment
	ran      map[string]int                   // jobs' successes by service, in this deployment
	asked    map[string]bool                  // replicas that a decision in this phase has let stop
	each     func(Wanted, Observed, Decision) // called for every decision; nil: nothing more is checked
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
	on := standing.NetworkOf(def)
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
			c.most[def.Name] += c.left(def)
			if def.Update.OnFailure == rhumb.ActionContinue {
				c.most[def.Name]++ // a slot may be given up while its last try is under way
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

// left counts the service's replicas that are alive beyond one in each slot: an earlier deployment has left them.
func (c *simCheck) left(def *rhumb.Service) int {
	taken := map[int]bool{}
	n := 0
	for _, r := range c.s.replicas {
		if r.Service != def.Name || r.Slot == 0 || !r.Alive() {
			continue
		}
		if r.Slot > def.Replicas || taken[r.Slot] {
			n++
		}
		taken[r.Slot] = true
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
	on := c.s.find(r.Joined) // what shares the network of one that was cut off is cut off with it
	if !c.s.answers(r) || c.s.recorded[r.ID] || r.severed || on != nil && on.severed {
		return false
	}
	route, ok := c.s.routes[r.ID]
	if ok && !route.Draining {
		return true
	}
	if m := c.s.wanted().Model; m != nil {
		if def := m.Service(r.Service); def != nil && !c.s.led(def) && c.s.release(c.s.wanted().Release).specs[def.Name] == r.Spec {
			return true
		}
	}
	return !c.s.led(c.s.release(r.Release).model.Service(r.Service))
}

// led tells whether a service has ports, or an address in a network.
func (s *sim) led(def *rhumb.Service) bool {
	inner := !def.Job && def.Container.NetworkMode == ""
	return def.Served() || inner && slices.ContainsFunc(def.Container.Networks, func(a rhumb.Attachment) bool { return s.segments[a.Network] })
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
