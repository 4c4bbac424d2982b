package control

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/control/run"
)

// inner is a stack of two services that publish nothing, a database and an API, start-first.
func inner(image string) rhumb.Stack {
	m := shop("web:1")
	api := m.Services[1]
	api.Name, api.Ports, api.Drain = "api", nil, 5*time.Second
	api.Container = rhumb.Container{Image: image,
		Networks: []rhumb.Attachment{{Network: "shop_default", Aliases: []string{"api", "backend"}}}}
	m.Services[0].Container.Networks = []rhumb.Attachment{{Network: "shop_default", Aliases: []string{"db"}}}
	m.Services[0].Drain = 5 * time.Second
	m.Services = []rhumb.Service{api, m.Services[0]}
	return m
}

// address returns the address of a service in the first segment of the table that has it.
func (b *bed) address(service string) (rhumb.Segment, rhumb.ServiceAddress) {
	b.t.Helper()
	st, err := b.router.Status(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range st.Table.Segments {
		for _, a := range s.Services {
			if a.Service == service {
				return s, a
			}
		}
	}
	return rhumb.Segment{}, rhumb.ServiceAddress{}
}

// leads reports whether a service's address is routed to these replicas.
func (b *bed) leads(service string, names ...string) bool {
	_, a := b.address(service)
	var got []string
	for _, e := range a.Endpoints {
		if !e.Draining {
			got = append(got, e.Name)
		}
	}
	return slices.Equal(got, names)
}

func TestAServiceThatPublishesNothingHasAnAddressInItsNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		if d := b.deploy(inner("api:1")); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		seg, api := b.address("api")
		_, db := b.address("db")
		if seg.Network != "shop_default" || seg.ID != "shop_default" || seg.Bridge != "br-shop_default" ||
			seg.Stack != "shop" {
			t.Errorf("segment %+v", seg)
		}
		if api.Addr == db.Addr || !netip.MustParsePrefix("12.0.0.0/16").Contains(api.Addr) ||
			!b.leads("api", "shop-api.1.1", "shop-api.1.2") || !b.leads("db", "shop-db.1.1") {
			t.Errorf("api %+v, db %+v", api, db)
		}
		for _, e := range api.Endpoints {
			if e.Addr.Port() != 0 || e.Release != 1 || !e.Addr.Addr().IsValid() {
				t.Errorf("endpoint %+v", e)
			}
		}
		reps, _ := b.engine.Replicas(context.Background(), "shop")
		want := map[string]string{"api": api.Addr.String(), "backend": api.Addr.String(), "db": db.Addr.String()}
		for _, r := range reps {
			if got := b.engine.Hosts(r.ID); !maps.Equal(got, want) {
				t.Errorf("%s has the names %v", r.Name(), got)
			}
		}
	})
}

func TestAnInnerReplicaIsDrainedBeforeItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		b.deploy(inner("api:1"))
		_, before := b.address("api")
		held := map[string]bool{}
		b.router.OnApply(func(tb rhumb.Table) {
			active := 0
			for _, s := range tb.Segments {
				for _, a := range s.Services {
					for _, e := range a.Endpoints {
						if a.Service == "api" && !e.Draining {
							active++
						}
						if a.Service == "api" && e.Draining && !held[e.Replica] {
							held[e.Replica] = true
							b.engine.Hold(func() {})
						}
					}
				}
			}
			if active < 2 {
				t.Errorf("%d of 2 replicas are routed to", active)
			}
		})
		for _, e := range before.Endpoints {
			b.router.Open(e.Replica, 1) // it has connections for as long as it lives
		}
		if d := b.deploy(inner("api:2")); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		b.wantReplicas("shop-api.2.1", "shop-api.2.2", "shop-db.1.1")
		_, after := b.address("api")
		if after.Addr != before.Addr || !b.leads("api", "shop-api.2.1", "shop-api.2.2") || len(held) != 2 {
			t.Errorf("before %+v, after %+v, drained %d", before, after, len(held))
		}
	})
}

func TestCallersWaitAcrossAPlannedGapOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		b.deploy(inner("api:1"))
		if _, db := b.address("db"); !db.Gap.IsZero() {
			t.Errorf("it is there, and callers wait until %s", db.Gap)
		}
		var waits, refuses int
		b.router.OnApply(func(tb rhumb.Table) {
			for _, s := range tb.Segments {
				for _, a := range s.Services {
					if a.Service == "db" && !slices.ContainsFunc(a.Endpoints,
						func(e rhumb.Endpoint) bool { return !e.Draining }) {
						if a.Gap.After(time.Now().Add(9 * time.Second)) {
							waits++
						} else {
							refuses++
						}
					}
				}
			}
		})
		m := inner("api:1")
		m.Services[1].Container.Env = map[string]string{"A": "1"}
		b.deploy(m)
		if waits < 2 || refuses > 0 {
			t.Errorf("in a deployment %d tables have callers wait, %d don't", waits, refuses)
		}
		waits, refuses = 0, 0
		b.change(rhumb.ChangeRequest{Cause: rhumb.CauseRestart, Services: []string{"db"}})
		if waits < 2 || refuses > 0 {
			t.Errorf("in a restart %d tables have callers wait, %d don't", waits, refuses)
		}
		waits, refuses = 0, 0
		_, db := b.address("db")
		b.engine.Kill(db.Endpoints[0].Replica, 1)
		b.eventually(func() bool {
			_, now := b.address("db")
			return len(now.Endpoints) == 1 && now.Endpoints[0].Replica != db.Endpoints[0].Replica
		})
		if waits > 0 || refuses == 0 {
			t.Errorf("after a crash %d tables have callers wait, %d don't", waits, refuses)
		}
	})
}

func TestAReplicaIsNotSentTheNamesThatItStartedWith(t *testing.T) {
	for _, slow := range []time.Duration{0, 30 * time.Millisecond, 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			l := newLand(b)
			l.does(func() { l.slow = slow })
			for _, image := range []string{"api:1", "api:2"} {
				if d := b.deploy(inner(image)); d.Phase != rhumb.PhaseConverged {
					t.Fatalf("%s: got %s: %s", image, d.Phase, d.Why)
				}
			}
			l.does(func() {
				if len(l.set) > 0 {
					t.Errorf("with an engine that takes %v: %v", slow, l.set)
				}
			})
		})
	}
}

func TestALaterServiceIsMadeKnownToReplicasThatRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		l := newLand(b)
		b.deploy(inner("api:1"))
		reps, _ := b.engine.Replicas(context.Background(), "shop")
		l.does(func() {
			if len(l.set) > 0 {
				t.Errorf("replicas are given again what they were started with: %v", l.set)
			}
		})
		m := inner("api:1")
		cache := m.Services[0]
		cache.Name, cache.Container = "cache", rhumb.Container{Image: "redis",
			Networks: []rhumb.Attachment{{Network: "shop_default", Aliases: []string{"cache", "backend"}}}}
		m.Services = append(m.Services, cache)
		slices.SortFunc(m.Services, func(x, y rhumb.Service) int { return strings.Compare(x.Name, y.Name) })
		b.deploy(m)
		_, addr := b.address("cache")
		b.eventually(func() bool {
			for _, r := range reps {
				if got := b.engine.Hosts(r.ID); got["cache"] != addr.Addr.String() || got["backend"] != "" ||
					got["api"] == "" {
					return false // two services are called backend now
				}
			}
			return true
		})
		b.stop()
		b.start()
		b.eventually(func() (all bool) {
			l.does(func() { all = len(l.set) == 5 })
			return all
		})
		time.Sleep(time.Minute)
		l.does(func() {
			for id, n := range l.set {
				if n > 2 {
					t.Errorf("%s was given names %d times", id, n)
				}
			}
		})
		b.deploy(inner("api:1"))
		b.eventually(func() bool {
			_, gone := b.address("cache")
			return !gone.Addr.IsValid() && b.engine.Hosts(reps[0].ID)["cache"] == ""
		})
	})
}

func TestASegmentFollowsItsNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		l := newLand(b)
		b.deploy(inner("api:1"))
		_, before := b.address("api")
		l.does(func() { l.renewed["shop_default"] = "-again" })
		b.stacks.Changed(rhumb.Change{}) // the engine reports networks
		b.eventually(func() bool { seg, _ := b.address("api"); return seg.ID == "shop_default-again" })
		if _, a := b.address("api"); a.Addr != before.Addr || !b.leads("api", "shop-api.1.1", "shop-api.1.2") {
			t.Errorf("after its network was created again: %+v", a)
		}
		// a proxy that has lost everything
		if err := b.router.Apply(context.Background(), rhumb.Table{Version: 10_000}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(run.LookEvery)
		b.eventually(func() bool {
			return b.leads("api", "shop-api.1.1", "shop-api.1.2") &&
				b.leads("db", "shop-db.1.1")
		})
	})
}

func TestDownTakesSegmentsOutBeforeTheirNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		b.deploy(inner("api:1"))
		b.router.OnApply(func(tb rhumb.Table) {
			held, _ := b.engine.Holdings(context.Background(), "shop")
			if len(tb.Segments) > len(held.Networks) {
				t.Error("the network is gone before its segment")
			}
		})
		d, err := b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown})
		if err != nil {
			t.Fatal(err)
		}
		if d = b.ends(d); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		st, _ := b.router.Status(context.Background())
		held, _ := b.engine.Holdings(context.Background(), "shop")
		if len(st.Table.Segments) > 0 || len(held.Networks) > 0 {
			t.Errorf("left: %+v, %+v", st.Table.Segments, held)
		}
	})
}

func TestASeveredReplicaIsReplacedAndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		l := newLand(b)
		b.deploy(inner("api:1"))
		reps, _ := b.engine.Replicas(context.Background(), "shop")
		l.does(func() { l.cut[reps[0].ID] = "shop_default" })
		b.eventually(func() bool {
			now, _ := b.engine.Replicas(context.Background(), "shop")
			return len(now) == 3 && now[0].ID != reps[0].ID && now[0].Alive() &&
				b.leads("api", "shop-api.1.1", "shop-api.1.2")
		})
		announced := 0
		for e := range b.Events(context.Background(), rhumb.EventFilter{Stack: "shop"}) {
			if e.Kind == rhumb.EventWarning && strings.Contains(e.Text, "disconnected") {
				announced++
			}
		}
		if announced != 1 {
			t.Errorf("announced %d times", announced)
		}
	})
}

func TestWithoutRoomForAddressesNamesLeadToReplicasAndThePlanSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*land)
		why   string
	}{
		"no room":         {func(l *land) { l.none = true }, "it leaves no room for them"},
		"not enough room": {func(l *land) { l.narrow = true }, "it has room for 1 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				l := newLand(b)
				l.does(func() { c.spoil(l) })
				if d := b.deploy(inner("api:1")); d.Phase != rhumb.PhaseConverged {
					t.Fatalf("got %s: %s", d.Phase, d.Why)
				}
				if d := b.deploy(inner("api:2")); d.Phase != rhumb.PhaseConverged {
					t.Fatalf("got %s: %s", d.Phase, d.Why)
				}
				if seg, _ := b.address("api"); seg.Network != "" {
					t.Errorf("segment %+v", seg)
				}
				p, err := b.Plan(context.Background(), rhumb.DeployRequest{Model: inner("api:3")})
				if err != nil {
					t.Fatal(err)
				}
				if len(p.Notes) != 1 || p.Notes[0].Subject != "networks.default" ||
					!strings.Contains(p.Notes[0].Why, c.why) {
					t.Errorf("notes %+v", p.Notes)
				}
			})
		})
	}
}

func TestThePlanOfAFirstDeploymentHasTheRoutesOfInnerServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		p, err := b.Plan(context.Background(), rhumb.DeployRequest{Model: inner("api:1")})
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, s := range p.Steps {
			words = append(words, s.String())
		}
		if len(p.Notes) > 0 || !slices.Contains(words, "route shop-api.1.2 (no other replica is there)") {
			t.Errorf("steps %q, notes %v", words, p.Notes)
		}
	})
}
