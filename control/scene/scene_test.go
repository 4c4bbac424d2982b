package scene

import (
	"context"
	"net/netip"
	"testing"

	"rhumb"
	"rhumb/rollout"
)

// store is a Store with one stack.
type store struct {
	state rhumb.StackState
	last  *rhumb.Deployment
}

func (s store) StackState(context.Context, string) (rhumb.StackState, error) { return s.state, nil }

func (s store) Deployment(context.Context, string, int64) (rhumb.Deployment, error) {
	if s.last == nil {
		return rhumb.Deployment{}, rhumb.Errorf(rhumb.NotFound, "no deployment")
	}
	return *s.last, nil
}

// wanted reads what is wanted. Releases 1 to 3 are kept.
func (s store) wanted(t *testing.T) *Scene {
	t.Helper()
	got, err := Sources{Store: s, Release: func(_ context.Context, _ string, n int) (*rhumb.Release, error) {
		if n > 3 {
			return nil, rhumb.Errorf(rhumb.NotFound, "release %d isn't kept", n)
		}
		return &rhumb.Release{Model: rhumb.Stack{Name: "shop"}}, nil
	}}.Wanted(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsWantedFollowsFromTheLastDeployment(t *testing.T) {
	const hold, deploy, restore = rollout.Hold, rollout.Deploy, rollout.Restore
	last := func(phase rhumb.Phase, from, to int) *rhumb.Deployment {
		return &rhumb.Deployment{ID: 7, Stack: "shop", Cause: rhumb.CauseDeploy, Phase: phase, From: from, To: to,
			Failures: []rhumb.Failure{{Release: to}, {Release: from}}}
	}
	for name, c := range map[string]struct {
		current  int
		open     bool
		last     *rhumb.Deployment
		mode     rollout.Mode
		to       int
		model    bool // of the wanted release
		previous bool
		idle     bool
	}{
		"never deployed":                {0, false, nil, hold, 0, false, false, true},
		"held":                          {2, false, last(rhumb.PhaseConverged, 1, 2), hold, 2, true, true, false},
		"held after a rollback":         {1, false, last(rhumb.PhaseRolledBack, 1, 2), hold, 1, true, true, false},
		"held, and the other is pruned": {1, false, last(rhumb.PhaseRolledBack, 1, 4), hold, 1, true, false, false},
		"a first deployment":            {0, true, last(rhumb.PhaseRolling, 0, 1), deploy, 1, true, false, false},
		"a deployment":                  {1, true, last(rhumb.PhaseRolling, 1, 2), deploy, 2, true, true, false},
		"one that is rolling back":      {1, true, last(rhumb.PhaseRollingBack, 1, 2), restore, 1, true, true, false},
		"a down":                        {2, true, last(rhumb.PhaseRolling, 2, 0), deploy, 0, false, true, false},
		"down":                          {0, false, last(rhumb.PhaseConverged, 2, 0), hold, 0, false, true, true},
	} {
		s := store{state: rhumb.StackState{Name: "shop", Current: c.current}, last: c.last}
		if c.open {
			s.state.Open = 7
		}
		got := s.wanted(t)
		w := got.Wanted
		if w.Mode != c.mode || w.Release != c.to || (w.Model != nil) != c.model || (w.Previous != nil) != c.previous {
			t.Errorf("%s: mode %v, release %d, model %t, previous %t", name, w.Mode, w.Release, w.Model != nil,
				w.Previous != nil)
		}
		if got.Idle() != c.idle || (got.Open != nil) != c.open {
			t.Errorf("%s: idle %t, open %+v", name, got.Idle(), got.Open)
		}
		if c.mode == rollout.Restore && (len(w.Failures) != 1 || w.Failures[0].Release != c.to || w.RunJobs) {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

func TestAnAddressOutsideInternalNetworksComesFirst(t *testing.T) {
	m := &rhumb.Stack{Name: "shop", Networks: []rhumb.Network{{Key: "in", Name: "shop_in", Internal: true},
		{Key: "out", Name: "shop_out"}},
		Services: []rhumb.Service{{Name: "web",
			Container: rhumb.Container{Networks: []rhumb.Attachment{{Network: "shop_in"}, {Network: "shop_out"}}}}}}
	s := &Scene{Wanted: rollout.Wanted{Stack: "shop", Model: m, Specs: m.Specs()}}
	web := rhumb.Replica{ID: "web", Service: "web", Spec: s.Wanted.Specs["web"], Slot: 1, State: rhumb.StateRunning,
		Addrs: map[string]netip.Addr{"shop_in": netip.MustParseAddr("10.0.0.2"),
			"shop_out": netip.MustParseAddr("10.9.0.2"),
			"bridge":   netip.MustParseAddr("10.0.0.1")}}
	sidecar := rhumb.Replica{ID: "side", Service: "side", Joined: "web", State: rhumb.StateRunning}
	s.Observed.Replicas = []rhumb.Replica{web, sidecar}
	for _, rep := range s.Observed.Replicas { // a replica in another's network has its address
		if at, err := s.Address(rep); err != nil || at != netip.MustParseAddr("10.9.0.2") {
			t.Errorf("%s: %s, %v", rep.ID, at, err)
		}
	}
	web.Addrs = nil
	if _, err := s.Address(web); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("without networks: %v", err)
	}
}

func TestLeavingReplicasAreNotJoined(t *testing.T) {
	m := &rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web"},
		{Name: "side", Container: rhumb.Container{NetworkMode: "service:web"}}}}
	s := &Scene{Wanted: rollout.Wanted{Stack: "shop", Model: m, Specs: m.Specs()}}
	web := func(id string, slot int) rhumb.Replica {
		return rhumb.Replica{ID: id, Service: "web", Spec: s.Wanted.Specs["web"], Slot: slot, State: rhumb.StateRunning}
	}
	s.Observed = rollout.Observed{Replicas: []rhumb.Replica{web("stopping", 1), web("one", 1), web("two", 2),
		web("by hand", 0)},
		Stopping: map[string]bool{"stopping": true}}
	side := m.Service("side")
	for slot, want := range map[int]string{1: "one", 2: "two", 3: "one"} {
		if got := s.Joined(side, slot)["web"]; got != want {
			t.Errorf("slot %d joins %q, want %q", slot, got, want)
		}
	}
}
