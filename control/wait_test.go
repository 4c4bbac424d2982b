package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestAChangeThatWaitsIsMadeOfWhatServesThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		first, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: shop("web:2")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		scaled, err := b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseScale,
			Scale: map[string]int{"web": 3}, WaitLock: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		b.ends(scaled)
		rel, err := b.Store.Release(context.Background(), "shop", scaled.To)
		if err != nil {
			t.Fatal(err)
		}
		if web := rel.Model.Service("web"); web.Container.Image != "web:2" || web.Replicas != 3 ||
			scaled.From != first.To {
			t.Errorf("from release %d: %d replicas of %s, want 3 of web:2", scaled.From, web.Replicas,
				web.Container.Image)
		}
	})
}

// between does something just before a deployment is opened.
type between struct {
	rhumb.Store
	do func()
}

func (s *between) Begin(ctx context.Context, r *rhumb.Release, d rhumb.Deployment) (rhumb.Deployment, error) {
	if do := s.do; do != nil {
		s.do = nil
		do()
	}
	return s.Store.Begin(ctx, r, d)
}

func TestADeploymentIsOpenedAlthoughAnotherEndsJustThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		store := &between{Store: b.store}
		b.stop()
		b.Control = New(Deps{Engine: b.engine, Images: b.engine, Store: store, Router: b.router})
		store.do = func() { // another one, from its beginning to its end
			d, err := b.store.Begin(context.Background(), &rhumb.Release{Model: shop("web:2")},
				rhumb.Deployment{Stack: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Move(rhumb.PhaseConverged, time.Now(), ""); err != nil {
				t.Fatal(err)
			}
			if _, err := b.store.Save(context.Background(), d); err != nil {
				t.Fatal(err)
			}
		}
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: shop("web:3")}, nil)
		if err != nil || d.From != 2 || d.To != 3 {
			t.Errorf("from %d to %d, %v", d.From, d.To, err)
		}
		b.stop = func() {}
	})
}

func TestOfTwoStacksThatBeginAtOnceTheFirstHasThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		store := &between{Store: b.store}
		b.stop()
		b.run(context.Background(), Deps{Engine: b.engine, Images: b.engine, Store: store, Router: b.router})
		store.do = func() { b.deploy(shop("web:1")) } // once the other has found the port free
		other := shop("web:1")
		other.Name, other.Networks[0].Name, other.Volumes, other.Services = "other", "other_default", nil,
			other.Services[1:]
		other.Services[0].DependsOn, other.Services[0].Container.Networks = nil,
			[]rhumb.Attachment{{Network: "other_default"}}
		d := b.deploy(other)
		if d.Phase != rhumb.PhaseRolledBack || !strings.Contains(d.Why, "shop/web") {
			t.Errorf("%s: %s", d.Phase, d.Why)
		}
		b.wantRouted("shop-web.1.1", "shop-web.1.2")
	})
}
