package rollout

import (
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// cleanup takes out what the wanted release doesn't have: surplus replicas, orphans, addresses and networks. It keeps
// this order, and waits until everything that is wanted is in place.
type cleanup struct {
	*turn
	settled bool // everything that is wanted is in place, with its addresses
}

func (t cleanup) run() {
	for _, s := range t.Services {
		for _, r := range s.Surplus {
			if !s.Job && t.surplusMayGo(s, r) {
				t.retire(r, s.Drain, t.why.surplus(s), false)
			}
		}
	}
	if len(t.Orphans) > 0 {
		t.retireOrphans()
	}
	leavers, routed := 0, 0
	for r := range t.Leavers() {
		leavers++
		if t.Observed.Routed(r) {
			routed++
		}
	}
	if routed == 0 && t.settled && t.Calm() {
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
func (t cleanup) removeHoldings() {
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
func (t cleanup) surplusMayGo(s *standing.Service, r *rhumb.Replica) bool {
	if !r.Alive() {
		return !t.Keeps(r)
	}
	if t.settled {
		return true
	}
	route, routed := t.Observed.Routes[r.ID]
	if routed && route.Draining {
		return true
	}
	return t.Wanted.Mode == Restore && (!routed && s.AwaitsRoute(r) || s.Settled())
}

// retireOrphans takes out the replicas of services that the wanted release doesn't have, dependents first.
func (t cleanup) retireOrphans() {
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
		going := routed && route.Draining || t.settled || t.Wanted.Mode == Restore && !t.HoldsWanted(r.Service)
		if !going {
			continue
		}
		if by := before[r.Service]; by != "" && !(t.settled && givenUp) {
			t.wait(r.Service, "waits for "+by+" to stop")
			continue
		}
		var drain time.Duration
		if def := t.Wanted.Previous.Service(r.Service); def != nil {
			drain = def.Drain
		}
		t.retire(r, drain, t.why.gone(), t.settled && !givenUp)
	}
}
