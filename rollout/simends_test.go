package rollout

import (
	"slices"

	"rhumb"
)

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
			if want := s.addresses(); s.addressed != want {
				c.fail("it has converged with the service addresses of %q, not of %q", s.addressed, want)
			}
			c.checked(s.release(s.dep.To))
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
			c.fail("%s, but the deployment doesn't say what isn't as wanted", to)
		}
		if s.calm && s.stacks.calm {
			c.fail("%s though nothing went wrong: %v", to, s.dep.Left)
		}
	}
}

// watched checks that the replicas which a deployment has made were ready for as long as its policy watches them.
func (c *simCheck) watched() {
	s := c.s
	for _, r := range s.replicas {
		def := s.release(s.dep.To).model.Service(r.Service)
		if def == nil || r.Slot == 0 || r.Slot > def.Replicas || !r.Alive() {
			continue
		}
		if r.Release != s.dep.To || r.Created.Before(s.dep.Started) {
			continue
		}
		if ran := s.now.Sub(r.readyAt); ran < def.Update.Monitor {
			c.fail("%s was watched for %s, not for %s", r.Name(), ran, def.Update.Monitor)
		}
	}
}

// nothingLeft checks that nothing of the stack is left but its volumes.
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

// wholly checks that the release serves, and that no other gets connections. strictly: nothing else is left either.
func (c *simCheck) wholly(rel *simRelease, strictly bool) {
	s := c.s
	for i := range rel.model.Services {
		def := &rel.model.Services[i]
		for slot := 1; slot <= def.Replicas && !def.Job; slot++ {
			if !c.filledNow(def, slot, rel.specs[def.Name]) {
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

// filledNow is filled without the excuse of a failure: a deployment that has converged has no failed slot.
func (c *simCheck) filledNow(def *rhumb.Service, slot int, spec string) bool {
	s := c.s
	for _, r := range s.replicas {
		if r.Service != def.Name || r.Slot != slot || r.Spec != spec {
			continue
		}
		route, routed := s.routes[r.ID]
		answers := !s.hasRoutes(def) || routed && !route.Draining
		if r.Alive() && (!r.stopping || r.forgotten) && answers {
			return true
		}
		own := s.dep.Phase == rhumb.PhaseConverged && !r.Created.Before(s.dep.Started)
		stayed := !r.stopping || (s.recorded[r.ID] || r.useless) && s.dep.Phase == rhumb.PhaseRolledBack
		ended := r.State == rhumb.StateExited && stayed && def.Restart.Condition != rhumb.RestartAny
		if ended && (!own || r.code == 0 && !def.Served()) {
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

// quiet checks that nothing is left over once there are no more steps.
func (c *simCheck) quiet(d Decision) {
	s := c.s
	for _, r := range s.replicas {
		def := s.release(s.current).model.Service(r.Service)
		comesBack := def != nil && def.Restart.Condition == rhumb.RestartAny
		if r.severed && r.Alive() && r.Slot > 0 && d.Done && comesBack && s.dep.Phase != rhumb.PhasePaused {
			c.fail("%s is still cut off", r.Name())
		}
	}
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
