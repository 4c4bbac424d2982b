package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"rhumb"
)

func TestARecreatedServiceShowsAsStopFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		r := rhumb.DeployRequest{Model: shop("web:2"), Strategy: rhumb.StrategyRecreate}
		p, err := b.Plan(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Changes {
			if c.Service == "web" && (c.Order != rhumb.StopFirst || c.Why != "strategy recreate") {
				t.Errorf("planned: %+v", c)
			}
		}
		d, err := b.Deploy(context.Background(), r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d = b.ends(d); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		info, err := b.Status(context.Background(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range info.Services {
			if s.Order != rhumb.StopFirst {
				t.Errorf("%s changes %s", s.Name, s.Order)
			}
		}
		stored, err := b.store.Release(context.Background(), "shop", d.To)
		if err != nil {
			t.Fatal(err)
		}
		if s := stored.Model.Service("web"); s.Strategy != rhumb.StrategyRecreate || s.Order != rhumb.StartFirst {
			t.Errorf("stored with the strategy %q and the order %s", s.Strategy, s.Order)
		}
	})
}

// Releases from before Service.Strategy have only what came of the file's strategy.
func TestDeployingAnOldRecreateAgainChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		stored, written := shop("web:1"), shop("web:1")
		s := stored.Service("web")
		s.Order, s.OrderWhy, s.Update.Parallelism = rhumb.StopFirst, "x-rhumb.strategy is recreate", 0
		written.Service("web").Strategy = rhumb.StrategyRecreate

		b.deploy(stored)
		ids := b.ids()
		p, err := b.Plan(context.Background(), rhumb.DeployRequest{Model: written})
		if err != nil || len(p.Changes) > 0 || len(p.Steps) > 0 {
			t.Errorf("the plan is %+v, %v", p, err)
		}
		if d := b.deploy(written); d.To != 1 || b.ids() != ids {
			t.Errorf("release %d serves with %s instead of %s", d.To, b.ids(), ids)
		}

		r := rhumb.DeployRequest{Model: written, Strategy: rhumb.StrategyRolling}
		d, err := b.Deploy(context.Background(), r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d = b.ends(d); d.Phase != rhumb.PhaseConverged || d.To != 2 || b.ids() != ids {
			t.Errorf("with --strategy rolling: %s in release %d with %s instead of %s", d.Phase, d.To, b.ids(), ids)
		}
		info, err := b.Status(context.Background(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range info.Services {
			if s.Name == "web" && s.Order != rhumb.StartFirst {
				t.Errorf("with --strategy rolling it changes %s", s.Order)
			}
		}
	})
}

// ids returns the IDs of all replicas of shop.
func (b *bed) ids() string {
	b.t.Helper()
	reps, err := b.engine.Replicas(context.Background(), "shop")
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, r := range reps {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}
