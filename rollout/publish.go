package rollout

import (
	"slices"

	"rhumb"
)

// prepare makes what must be there before anything else: networks, volumes, and addresses that nobody has yet. In a
// deployment nothing else changes before, so that an address that can't be had is found while nothing is lost.
func (t *turn) prepare() {
	t.prepared = true
	if m := t.model(); m != nil {
		for _, n := range m.Networks {
			if !n.External && !slices.Contains(t.o.Networks, n.Name) {
				t.prepared = false
				t.step(rhumb.Step{Kind: rhumb.StepNetwork, Name: n.Name, Why: "missing"})
			}
		}
		for _, v := range m.Volumes {
			if !v.External && !slices.Contains(t.o.Volumes, v.Name) {
				t.prepared = false
				t.step(rhumb.Step{Kind: rhumb.StepVolume, Name: v.Name, Why: "missing"})
			}
		}
	}
	for _, a := range t.wanted {
		if _, held := t.o.Published[a.name]; !held {
			t.prepared = t.prepared && t.w.Mode != Deploy
			t.step(rhumb.Step{Kind: rhumb.StepPublish, Name: a.name, Service: a.of.Name, Release: t.w.Release, Why: "new address"})
		}
	}
}

// model is the wanted model; nil: nothing is wanted.
func (t *turn) model() *rhumb.Stack {
	if t.w.Release == 0 {
		return nil
	}
	return t.w.Model
}

// address is one address of a wanted service.
type address struct {
	name string
	of   *service
}

// listAddresses lists all wanted addresses once, in the order of the model. One that two services have, which no valid
// stack does, is the first one's.
func (t *turn) listAddresses() {
	m := t.model()
	if m == nil {
		return
	}
	for i := range m.Services {
		def := &m.Services[i]
		if !def.Served() {
			continue
		}
		for _, name := range def.Addresses() {
			if t.wants(name) == nil {
				t.wanted = append(t.wanted, address{name, t.byName[def.Name]})
			}
		}
	}
}

// wants gives the service that shall have the address; nil: none.
func (t *turn) wants(name string) *service {
	for _, a := range t.wanted {
		if a.name == name {
			return a.of
		}
	}
	return nil
}

// moveAddresses gives an address that another service has to the one that shall have it, once that can answer.
func (t *turn) moveAddresses() {
	for _, a := range t.wanted {
		holder, held := t.o.Published[a.name]
		switch {
		case !held || holder == a.of.Name:
		case a.of.answers():
			t.step(rhumb.Step{Kind: rhumb.StepPublish, Name: a.name, Service: a.of.Name, Release: t.w.Release, Why: "moves from " + holder})
		default:
			t.waits(a.of.Name, "takes "+a.name+" over from "+holder+" once it is ready")
		}
	}
}

// answers tells whether the service has a routed replica, or can't have one.
func (s *service) answers() bool {
	settled := true
	for i := range s.slots {
		if s.slots[i].status == inPlace {
			return true
		}
		settled = settled && s.slots[i].settled()
	}
	return settled
}

// published tells whether all wanted addresses lead to their services.
func (t *turn) published() bool {
	for _, a := range t.wanted {
		if t.o.Published[a.name] != a.of.Name {
			return false
		}
	}
	return true
}

// unwanted lists the published addresses that no wanted service has, sorted.
func (t *turn) unwanted() []string {
	var rest []string
	for a := range t.o.Published {
		if t.wants(a) == nil {
			rest = append(rest, a)
		}
	}
	slices.Sort(rest)
	return rest
}

// extraNetworks lists the stack's networks that the wanted release doesn't have, sorted.
func (t *turn) extraNetworks() []string {
	m := t.model()
	var rest []string
	for _, name := range t.o.Networks {
		if m == nil || !slices.ContainsFunc(m.Networks, func(n rhumb.Network) bool { return n.Name == name }) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return rest
}
