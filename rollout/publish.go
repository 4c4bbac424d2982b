package rollout

import (
	"slices"

	"rhumb"
)

// prepare makes what must be there before anything else: networks, volumes, and addresses that nobody has yet. In a
// deployment nothing else changes before, so that an address that can't be had is found while nothing is lost.
func (t *turn) prepare() {
	t.prepared = true
	t.networks = make(map[string]bool, len(t.o.Networks))
	for _, n := range t.o.Networks {
		t.networks[n] = true
	}
	if m := t.model(); m != nil {
		for _, n := range m.Networks {
			if !n.External && !t.networks[n.Name] {
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
	t.eachAddress(func(s *service, address string) {
		if _, held := t.o.Published[address]; !held {
			t.prepared = t.prepared && t.w.Mode != Deploy
			t.step(rhumb.Step{Kind: rhumb.StepPublish, Name: address, Service: s.Name, Release: t.w.Release, Why: "new address"})
		}
	})
}

// model is the wanted model; nil: nothing is wanted.
func (t *turn) model() *rhumb.Stack {
	if t.w.Release == 0 {
		return nil
	}
	return t.w.Model
}

// eachAddress goes through all wanted addresses, in the order of the model.
func (t *turn) eachAddress(f func(s *service, address string)) {
	m := t.model()
	if m == nil {
		return
	}
	seen := map[string]bool{}
	for i := range m.Services {
		def := &m.Services[i]
		if !def.Served() {
			continue
		}
		for _, a := range def.Addresses() {
			if !seen[a] {
				seen[a] = true
				f(t.byName[def.Name], a)
			}
		}
	}
}

// moveAddresses gives an address that another service has to the one that shall have it, once that can answer.
func (t *turn) moveAddresses() {
	t.eachAddress(func(s *service, address string) {
		holder, held := t.o.Published[address]
		if !held || holder == s.Name {
			return
		}
		if !s.answers() {
			t.waits(s.Name, "takes "+address+" over from "+holder+" once it is ready")
			return
		}
		t.step(rhumb.Step{Kind: rhumb.StepPublish, Name: address, Service: s.Name, Release: t.w.Release, Why: "moves from " + holder})
	})
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
	all := true
	t.eachAddress(func(s *service, address string) {
		all = all && t.o.Published[address] == s.Name
	})
	return all
}

// unwanted lists the published addresses that no wanted service has, sorted.
func (t *turn) unwanted() []string {
	if len(t.o.Published) == 0 {
		return nil
	}
	wanted := map[string]bool{}
	t.eachAddress(func(_ *service, address string) { wanted[address] = true })
	var rest []string
	for a := range t.o.Published {
		if !wanted[a] {
			rest = append(rest, a)
		}
	}
	slices.Sort(rest)
	return rest
}

// extraNetworks lists the stack's networks that the wanted release doesn't have, sorted.
func (t *turn) extraNetworks() []string {
	wanted := map[string]bool{}
	if m := t.model(); m != nil {
		for _, n := range m.Networks {
			wanted[n.Name] = true
		}
	}
	var rest []string
	for _, n := range t.o.Networks {
		if !wanted[n] {
			rest = append(rest, n)
		}
	}
	slices.Sort(rest)
	return rest
}
