package control

import (
	"context"
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
