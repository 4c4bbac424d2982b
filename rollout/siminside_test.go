package rollout

import (
	"reflect"
	"slices"
	"strings"

	"rhumb"
)

// This file has the part of the simulation in which services find each other: their addresses in the table, and the
// names in their replicas' hosts files.

// maxTries is how often a deployment tries to bring the service addresses up to date.
const maxTries = 5

// addresses is what the service addresses in the table must be made for: the networks that have any, the services of
// the wanted release, and those of the other one that have replicas.
func (s *sim) addresses() string {
	var b strings.Builder
	for _, n := range s.networks {
		if s.segments[n] {
			b.WriteString(n + " ")
		}
	}
	w := s.wanted()
	if w.Model != nil {
		for i := range w.Model.Services {
			b.WriteString(w.Model.Services[i].Name)
		}
	}
	if w.Previous != nil {
		for i := range w.Previous.Services {
			name := w.Previous.Services[i].Name
			if w.Model.Service(name) == nil && s.alive(name) {
				b.WriteString(name)
			}
		}
	}
	return b.String()
}

func (s *sim) alive(service string) bool {
	return slices.ContainsFunc(s.replicas, func(r *simReplica) bool {
		return r.Service == service && r.Slot > 0 && r.Alive()
	})
}

// lookInside adds which addresses and names are out of date.
func (s *sim) lookInside(o *Observed) {
	if o.StaleAddresses = s.addressed != s.addresses(); !o.StaleAddresses {
		s.tries = 0
	}
	o.AddressesFailed, o.StaleNames = s.tries > 0, map[string]bool{}
	for _, r := range s.replicas {
		if r.Alive() && r.Joined == "" && s.hosts[r.ID] != s.addressed {
			o.StaleNames[r.ID] = true
		}
	}
}

// readdress makes the service addresses, or fails to. A deployment that has tried too often fails.
func (s *sim) readdress(st rhumb.Step) {
	if s.now.Before(s.refuses) || !s.calm && s.chance(0.05) {
		s.log("%s: refused", st)
		if s.tries++; s.wanted().Mode == Deploy && s.tries >= maxTries {
			s.record(rhumb.Failure{Release: s.dep.To, Reason: "service addresses are refused"})
			s.tries = 0
		}
		return
	}
	s.addressed = s.addresses()
}

// inside checks that stale addresses come first where they must, and that nothing else depends on addresses or names.
func (c *simCheck) inside(w Wanted, o Observed, d Decision) {
	inform := func(st rhumb.Step) bool { return st.Kind == rhumb.StepAddress || st.Kind == rhumb.StepNames }
	judged := w.Mode == Deploy && d.Failed != ""
	if o.StaleAddresses && !judged && (w.Mode == Deploy && w.Release != 0 || !o.AddressesFailed) {
		if len(d.Steps) != 1 || d.Steps[0].Kind != rhumb.StepAddress || d.Done || d.Failed != "" {
			c.fail("the service addresses are stale, and it decides %v, done %t, %s", d.Steps, d.Done, d.Failed)
		}
		return
	}
	named, addressed := 0, false
	for _, st := range d.Steps {
		addressed = addressed || st.Kind == rhumb.StepAddress
		if st.Kind == rhumb.StepNames {
			if named++; !o.StaleNames[st.Replica] {
				c.fail("%s, which has its names", st)
			}
		}
	}
	if named != len(o.StaleNames) || addressed != (o.StaleAddresses && !judged) {
		c.fail("addresses stale %t, names of %d stale, and it decides %v", o.StaleAddresses, len(o.StaleNames), d.Steps)
	}
	if c.s.turns%8 != 0 || named == 0 && !addressed {
		return
	}
	o.StaleAddresses, o.StaleNames = false, nil
	current := Next(w, o, c.s.now)
	if d.Steps = slices.DeleteFunc(slices.Clone(d.Steps), inform); len(d.Steps) == 0 {
		d.Steps = nil
	}
	if !reflect.DeepEqual(d, current) {
		c.fail("with all addresses and names it decides otherwise:\n%v\n%v", d, current)
	}
}
