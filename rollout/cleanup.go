package rollout

import (
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// cleanUp takes out what the wanted release doesn't have: surplus replicas, orphans, addresses, networks, in that
// order, and only once everything that is wanted is in place.
func (t *turn) cleanUp() {
	settled := t.Settled() && t.Published()
	for _, s := range t.Services {
		for _, r := range s.Surplus {
			if !s.Job && t.surplusMayGo(s, r, settled) {
				t.retire(r, s.Drain, t.why.surplus(s), false)
			}
		}
	}
	if len(t.Orphans) > 0 {
		t.retireOrphans(settled)
	}
	leavers, routed := 0, 0
	for r := range t.Leavers() {
		leavers++
		if t.Observed.Routed(r) {
			routed++
		}
	}
	if routed == 0 && settled && t.Calm() {
		for _, a := range t.Unwanted() {
			t.step(rhumb.Step{Kind: rhumb.StepUnpublish, Name: a, Service: t.Observed.Published[a],
				Release: t.Wanted.Release, Why: t.why.gone()})
		}
	}
	if leavers == 0 {
		t.removeHoldings()
	}
}

// removeHoldings removes the networks that the wanted release doesn't have, and the volumes if a person asked for that.
func (t *turn) removeHoldings() {
	for _, n := range t.ExtraNetworks() {
		t.step(rhumb.Step{Kind: rhumb.StepRemoveNetwork, Name: n, Why: t.why.gone()})
	}
	if t.Wanted.Release == 0 && t.Wanted.Volumes && len(t.Observed.Networks) == 0 {
		for _, v := range t.Observed.Volumes {
			t.step(rhumb.Step{Kind: rhumb.StepRemoveVolume, Name: v, Why: "asked for"})
		}
	}
}

// surplusMayGo reports whether a replica beyond the wanted number has done its work.
func (t *turn) surplusMayGo(s *standing.Service, r *rhumb.Replica, settled bool) bool {
	if !r.Alive() {
		return !t.Keeps(r)
	}
	if settled {
		return true
	}
	route, routed := t.Observed.Routes[r.ID]
	if routed && route.Draining {
		return true
	}
	return t.Wanted.Mode == Restore && (!routed && s.AwaitsRoute(r) || s.Settled())
}

// retireOrphans takes out the replicas of services that the wanted release doesn't have, dependents first.
func (t *turn) retireOrphans(settled bool) {
	before := t.Before()
	givenUp := t.AnyGivenUp() // an old replica in a slot that is given up may never leave, so don't wait for it
	for _, r := range t.Orphans {
		if !r.Alive() {
			if !t.Keeps(r) {
				t.retire(r, 0, t.why.gone(), false)
			}
			continue
		}
		route, routed := t.Observed.Routes[r.ID]
		going := routed && route.Draining || settled || t.Wanted.Mode == Restore && !t.HoldsWanted(r.Service)
		if !going {
			continue
		}
		if by := before[r.Service]; by != "" && !(settled && givenUp) {
			t.wait(r.Service, "waits for "+by+" to stop")
			continue
		}
		var drain time.Duration
		if def := t.Wanted.Previous.Service(r.Service); def != nil {
			drain = def.Drain
		}
		t.retire(r, drain, t.why.gone(), settled && !givenUp)
	}
}
