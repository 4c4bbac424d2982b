package rollout

import (
	"time"

	"rhumb"
)

// cleanUp takes out what the wanted release doesn't have: surplus replicas, orphans, addresses, networks, in that
// order, and only once everything that is wanted is in place.
func (t *turn) cleanUp() {
	settled := t.settled() && t.published()
	for _, s := range t.services {
		for _, r := range s.surplus {
			if !s.Job && s.surplusMayGo(r, settled) {
				t.retire(r, s.Drain, t.whySurplus(s), false)
			}
		}
	}
	if len(t.orphans) > 0 {
		t.retireOrphans(settled)
	}
	leavers, routed := 0, 0
	for r := range t.leavers() {
		leavers++
		if t.routed(r) {
			routed++
		}
	}
	if routed == 0 && settled && t.calm() {
		for _, a := range t.unwanted() {
			t.step(rhumb.Step{Kind: rhumb.StepUnpublish, Name: a, Service: t.o.Published[a], Release: t.w.Release, Why: t.whyGone()})
		}
	}
	if leavers > 0 {
		return
	}
	for _, n := range t.extraNetworks() {
		t.step(rhumb.Step{Kind: rhumb.StepRemoveNetwork, Name: n, Why: t.whyGone()})
	}
	if t.w.Release == 0 && t.w.Volumes && len(t.o.Networks) == 0 {
		for _, v := range t.o.Volumes {
			t.step(rhumb.Step{Kind: rhumb.StepRemoveVolume, Name: v, Why: "asked for"})
		}
	}
}

// surplusMayGo tells whether a replica beyond the wanted number has done its work.
func (s *service) surplusMayGo(r *rhumb.Replica, settled bool) bool {
	if !r.Alive() {
		return !s.t.keeps(r)
	}
	if settled {
		return true
	}
	route, routed := s.t.o.Routes[r.ID]
	if routed && route.Draining {
		return true
	}
	return s.t.w.Mode == Restore && (!routed && s.awaitsRoute(r) || s.settled())
}

// retireOrphans takes out the replicas of services that the wanted release doesn't have, dependents first.
func (t *turn) retireOrphans(settled bool) {
	before := t.dependents()
	given := settled && t.anyLost() // who stays in a given-up slot may stay for ever: it isn't waited for
	for _, r := range t.orphans {
		if !r.Alive() {
			if !t.keeps(r) {
				t.retire(r, 0, t.whyGone(), false)
			}
			continue
		}
		route, routed := t.o.Routes[r.ID]
		going := routed && route.Draining || settled || t.w.Mode == Restore && !t.holdsWanted(r.Service)
		if !going {
			continue
		}
		if by := before[r.Service]; by != "" && !given {
			t.waits(r.Service, "waits for "+by+" to stop")
			continue
		}
		var drain time.Duration
		if def := t.w.Previous.Service(r.Service); def != nil {
			drain = def.Drain
		}
		t.retire(r, drain, t.whyGone(), settled && !t.anyLost()) // what shares its network goes first
	}
}

// dependents gives, by orphaned service, the service that must go before it: one that depends on it in the release
// that is left behind, and still has replicas of it alive.
func (t *turn) dependents() map[string]string {
	before := map[string]string{}
	if t.w.Previous == nil {
		return before
	}
	alive := map[string]bool{}
	for _, r := range t.orphans {
		alive[r.Service] = alive[r.Service] || r.Alive()
	}
	for _, s := range t.services {
		for i := range s.slots {
			if sl := &s.slots[i]; sl.status != lost && sl.alive() {
				alive[s.Name] = true
			}
		}
		for _, r := range s.surplus {
			alive[s.Name] = alive[s.Name] || r.Alive()
		}
	}
	g := newGraph(t.w.Previous)
	for _, def := range g.order {
		for _, d := range g.edges[def.Name] {
			if alive[def.Name] && before[d.Service] == "" {
				before[d.Service] = def.Name
			}
		}
	}
	return before
}

// holdsWanted tells whether the service has an address that a wanted one shall have.
func (t *turn) holdsWanted(name string) bool {
	for _, a := range t.wanted {
		if a.of.Name != name && t.o.Published[a.name] == name {
			return true
		}
	}
	return false
}

// leavers goes through all replicas that the wanted release doesn't have.
func (t *turn) leavers() func(yield func(*rhumb.Replica) bool) {
	return func(yield func(*rhumb.Replica) bool) {
		for _, s := range t.services {
			if !s.eachLeaver(yield) {
				return
			}
		}
		for _, r := range t.orphans {
			if !yield(r) {
				return
			}
		}
	}
}

func (s *service) eachLeaver(yield func(*rhumb.Replica) bool) bool {
	if s.Job {
		for _, r := range s.replicas {
			if !s.currentJob(r) && !yield(r) {
				return false
			}
		}
		return true
	}
	for i := range s.slots {
		for _, r := range s.slots[i].old {
			if !yield(r) {
				return false
			}
		}
	}
	for _, r := range s.surplus {
		if !yield(r) {
			return false
		}
	}
	return true
}
