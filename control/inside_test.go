package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// apart is inner with the API in a network of its own.
func apart(image string) rhumb.Stack {
	m := inner(image)
	m.Networks = append(m.Networks, rhumb.Network{Key: "back", Name: "shop_back"})
	m.Services[0].Container.Networks = []rhumb.Attachment{{Network: "shop_back", Aliases: []string{"api"}}}
	return m
}

func TestADeploymentWithoutServiceAddressesFailsAfterFiveTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		b.deploy(inner("api:1"))
		b.router.Refuse("shop_back", true)
		began := time.Now()
		d := b.deploy(apart("api:2"))
		const why = "its service addresses can't be made"
		if took := time.Since(began); d.Phase != rhumb.PhaseRolledBack || !strings.Contains(d.Why, why) ||
			took < 6*time.Second || took > 8*time.Second {
			t.Errorf("%s after %s: %s", d.Phase, took, d.Why)
		}
		if len(d.Failures) != 1 || d.Failures[0].Service != "" || d.Failures[0].Release != 2 {
			t.Errorf("failures %+v", d.Failures)
		}
		b.wantReplicas("shop-api.1.1", "shop-api.1.2", "shop-db.1.1")
		retries := 0
		for e := range b.Events(t.Context(), rhumb.EventFilter{Stack: "shop", Deployment: d.ID}) {
			if e.Kind == rhumb.EventStarting {
				t.Errorf("%s was started", e.Replica)
			}
			if strings.Contains(e.Text, why) && strings.HasSuffix(e.Text, "trying again") {
				retries++
			}
		}
		if retries != 2 { // once on the way forward, once on the way back
			t.Errorf("that it is tried again is announced %d times", retries)
		}
	})
}

func TestAStackIsHealedWhileItsAddressesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		l := newLand(b)
		b.deploy(apart("api:1"))
		b.router.Refuse("shop_back", true)
		l.does(func() { l.renewed["shop_back"] = "-again" })
		b.stacks.Changed(rhumb.Change{}) // the engine reports networks
		time.Sleep(time.Second)
		_, db := b.address("db")
		b.engine.Kill(db.Endpoints[0].Replica, 1)
		b.eventually(func() bool {
			_, now := b.address("db")
			return len(now.Endpoints) == 1 && now.Endpoints[0].Replica != db.Endpoints[0].Replica
		})
		if seg, _ := b.address("api"); seg.ID != "shop_back" {
			t.Errorf("the segment is %+v", seg)
		}
		b.router.Refuse("shop_back", false)
		time.Sleep(time.Minute)
		if seg, _ := b.address("api"); seg.ID != "shop_back-again" || !b.leads("api", "shop-api.1.1", "shop-api.1.2") {
			t.Errorf("once they are accepted: %+v", seg)
		}
	})
}

func TestNamesThatCannotBeWrittenHoldNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		b.deploy(inner("api:1"))
		reps, _ := b.engine.Replicas(context.Background(), "shop")
		b.engine.Fail("SetHosts", 12, rhumb.Errorf(rhumb.Unavailable, "the engine is busy"))
		m := inner("api:1")
		cache := m.Services[0]
		cache.Name, cache.Container = "cache", rhumb.Container{Image: "redis",
			Networks: []rhumb.Attachment{{Network: "shop_default", Aliases: []string{"cache"}}}}
		m.Services = []rhumb.Service{m.Services[0], cache, m.Services[1]}
		began := time.Now()
		if d := b.deploy(m); d.Phase != rhumb.PhaseConverged || time.Since(began) > time.Second {
			t.Errorf("%s after %s: %s", d.Phase, time.Since(began), d.Why)
		}
		if got := b.engine.Hosts(reps[0].ID); got["cache"] != "" {
			t.Fatalf("the names could be written: %v", got)
		}
		time.Sleep(time.Minute)
		for _, r := range reps {
			if got := b.engine.Hosts(r.ID); got["cache"] == "" {
				t.Errorf("%s has the names %v", r.Name(), got)
			}
		}
	})
}

func TestACancelDoesNotWaitForServiceAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		b.deploy(inner("api:1"))
		b.router.Refuse("shop_back", true)
		d, err := b.Deploy(t.Context(), rhumb.DeployRequest{Model: apart("api:2")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		if err := b.Cancel(t.Context(), "shop", d.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if d = b.ends(d); d.Phase != rhumb.PhaseRolledBack || len(d.Failures) > 0 || time.Since(began) > time.Second {
			t.Errorf("%s after %s: %s, %+v", d.Phase, time.Since(began), d.Why, d.Failures)
		}
	})
}
