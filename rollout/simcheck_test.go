package rollout

import (
	"fmt"
	"slices"

	"rhumb"
	"rhumb/rollout/standing"
)

// simCheck compares the world with what DESIGN.md promises. It knows the true state, of which Next has only looks.
type simCheck struct {
	s        *sim
	promised []promise
	steady   []string                         // addresses of both releases that were published at the beginning
	most     map[string]int                   // replicas alive at most, by service
	wounded  map[place]bool                   // slots whose replica fell on its own, or that had none at the beginning
	excused  map[place]bool                   // wounded slots that nothing has to heal: see hurt and forgets
	failed   map[place]bool                   // slots that have a failure in this deployment
	ran      map[string]int                   // jobs' successes by service, in this deployment
	asked    map[string]bool                  // replicas that a decision in this phase has stopped
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

// joinsStopFirst reports whether in model a the service shares the network of a stop-first service, and goes with it.
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
				c.most[def.Name]++ // a slot may be given up while its last attempt is under way
			}
		}
	}
}

// living counts a service's replicas that are alive and not on their way out.
func (c *simCheck) living(service string) int {
	n := 0
	for _, r := range c.s.replicas {
		leaving := r.stopping || r.leaving || c.asked[r.ID] || c.s.beingStopped(r.ID) || c.s.shares(r)
		if r.Service == service && r.Slot > 0 && r.Alive() && !leaving {
			n++
		}
	}
	return n
}

// left counts the service's alive replicas beyond one in each slot, which an earlier deployment has left.
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

// shares reports whether alive replicas share the replica's network. It must wait for them.
func (s *sim) shares(r *simReplica) bool {
	return slices.ContainsFunc(s.replicas, func(x *simReplica) bool { return x.Joined == r.ID && x.Alive() })
}

// excuse marks the slots that aren't served now. This phase hasn't caused that.
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

// serves reports whether the replica does its work. One of a service with routes does so only in the table.
func (c *simCheck) serves(r *simReplica) bool {
	on := c.s.find(r.Joined) // a replica that shares the network of one that is cut off is cut off too
	if !c.s.answers(r) || c.s.recorded[r.ID] || r.severed || on != nil && on.severed {
		return false
	}
	route, ok := c.s.routes[r.ID]
	if ok && !route.Draining {
		return true
	}
	if m := c.s.wanted().Model; m != nil {
		def, specs := m.Service(r.Service), c.s.release(c.s.wanted().Release).specs
		if def != nil && !c.s.hasRoutes(def) && specs[def.Name] == r.Spec {
			return true
		}
	}
	return !c.s.hasRoutes(c.s.release(r.Release).model.Service(r.Service))
}

// hasRoutes reports whether a service has ports, or an address in a network.
func (s *sim) hasRoutes(def *rhumb.Service) bool {
	inSegment := func(a rhumb.Attachment) bool { return s.segments[a.Network] }
	inner := !def.Job && def.Container.NetworkMode == ""
	return def.Served() || inner && slices.ContainsFunc(def.Container.Networks, inSegment)
}

// promises checks that no service has fewer replicas than promised.
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
		takesOut := k == rhumb.StepDrain || k == rhumb.StepUnroute || k == rhumb.StepStop
		return f.step.Service == at.service && f.step.Slot == at.slot && takesOut
	})
}

// hurt notes that a replica fell on its own, and with it the replicas that share its network. One that ended with 0 may
// count as done, so that nothing replaces it.
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

// forgets notes that the daemon has died and doesn't know any more that the replica is being stopped.
func (c *simCheck) forgets(r *simReplica) {
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
