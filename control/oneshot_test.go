package control

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// seeded is a shop with a service that runs once and ends.
func seeded(seed, web string) rhumb.Stack {
	m := shop(web)
	m.Services = append(m.Services, rhumb.Service{Name: "seed", Replicas: 1, Order: rhumb.StartFirst,
		Restart: rhumb.Restart{Condition: rhumb.RestartNone},
		Ready:   rhumb.Ready{Kind: rhumb.ReadyRunning}, Update: m.Services[0].Update, Rollback: m.Services[0].Update,
		Container: rhumb.Container{Image: seed}})
	return m
}

func (b *bed) starts(service string) (n int) {
	b.t.Helper()
	for e, err := range b.Events(context.Background(), rhumb.EventFilter{Stack: "shop"}) {
		if err != nil {
			b.t.Fatal(err)
		}
		if e.Kind == rhumb.EventStarting && e.Service == service {
			n++
		}
	}
	return n
}

// wantNames waits until exactly these replicas are there, dead or alive.
func (b *bed) wantNames(names ...string) {
	b.t.Helper()
	b.eventually(func() bool {
		reps, err := b.engine.Replicas(context.Background(), "shop")
		return err == nil && slices.EqualFunc(reps, names, func(r rhumb.Replica,
			name string) bool {
			return r.Name() == name
		})
	})
}

func TestPuttingBackDoesNotRepeatWhatHasDoneItsWork(t *testing.T) {
	for _, change := range []struct {
		name string
		m    rhumb.Stack
		runs int // of the release that fails
	}{
		{"the one-shot stays as it is", seeded("seed:1", "web:2"), 0},
		{"the one-shot changes too", seeded("seed:2", "web:2"), 1},
		{"the one-shot is gone", shop("web:2"), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			b.engine.Behave("seed", "seed:1", enginefake.Behaviour{ExitAfter: time.Millisecond})
			b.engine.Behave("seed", "seed:2", enginefake.Behaviour{ExitAfter: time.Millisecond})
			b.engine.Behave("web", "web:2", enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 3})
			if d := b.deploy(seeded("seed:1", "web:1")); d.Phase != rhumb.PhaseConverged || b.starts("seed") != 1 {
				t.Fatalf("%s, the one-shot began %d times: %s", d.Phase, b.starts("seed"), d.Why)
			}
			change.m.Service("web").Ready.Timeout = time.Minute // it dies before it is ready
			if d := b.deploy(change.m); d.Phase != rhumb.PhaseRolledBack {
				t.Fatalf("%s: %s: %s", change.name, d.Phase, d.Why)
			}
			time.Sleep(time.Minute)
			if n := b.starts("seed") - 1; n != change.runs {
				t.Errorf("%s: the one-shot began %d more times, not %d", change.name, n, change.runs)
			}
			b.wantNames("shop-db.1.1", "shop-seed.1.1", "shop-web.1.1", "shop-web.1.2")
			if d := b.deploy(seeded("seed:2", "web:1")); d.Phase != rhumb.PhaseConverged {
				t.Fatalf("%s: %s: %s", change.name, d.Phase, d.Why)
			}
			time.Sleep(time.Minute)
			b.wantNames("shop-db.1.1", "shop-seed.3.1", "shop-web.1.1", "shop-web.1.2")
		})
	}
}
