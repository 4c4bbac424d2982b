package control

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// web returns the backend of the shop's web service.
func (b *bed) web() rhumb.Backend {
	b.t.Helper()
	st, err := b.router.Status(context.Background())
	if err != nil || len(st.Table.Backends) != 1 {
		b.t.Fatalf("the table has %d backends, %v", len(st.Table.Backends), err)
	}
	return st.Table.Backends[0]
}

func TestAccessLogsChangeTheTableAndNoReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		ids := b.ids()
		for _, on := range []bool{true, false, true} {
			m := shop("web:1")
			m.Services[1].AccessLog = on
			d := b.deploy(m)
			if d.Phase != rhumb.PhaseConverged || b.web().AccessLog != on || b.ids() != ids {
				t.Errorf("%s with %+v and replicas %s instead of %s", d.Phase, b.web(), b.ids(), ids)
			}
		}
		b.engine.Behave("web", "web:2", enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 3})
		m := shop("web:2")
		m.Services[1].Ready.Timeout = time.Minute
		if d := b.deploy(m); d.Phase != rhumb.PhaseRolledBack || !b.web().AccessLog {
			t.Errorf("%s, and the table has %+v", d.Phase, b.web())
		}
	})
}

func TestAFirstDeploymentIsServedWithItsAccessLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		m := shop("web:1")
		m.Services[1].AccessLog = true
		if d := b.deploy(m); d.Phase != rhumb.PhaseConverged || !b.web().AccessLog {
			t.Errorf("%s, and the table has %+v", d.Phase, b.web())
		}
	})
}

func TestAChangedHoldReachesTheProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		ids := b.ids()
		m := shop("web:1")
		m.Services[1].Hold = 42 * time.Second
		b.deploy(m)
		b.eventually(func() bool { return b.web().Hold == 42*time.Second })
		if b.ids() != ids {
			t.Errorf("replicas %s instead of %s", b.ids(), ids)
		}
	})
}

// askedSeen records what stacks ask of the process that observes them.
type askedSeen struct {
	mu  sync.Mutex
	all map[string]rhumb.Observing
}

func (l *askedSeen) take(stack string, o rhumb.Observing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[stack] = o
}

func (l *askedSeen) of(stack string) (rhumb.Observing, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, ok := l.all[stack]
	return o, ok
}

func TestWhatIsAskedOfObserveFollowsTheWantedRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.stop()
		seen := &askedSeen{}
		start := func() {
			seen.all = map[string]rhumb.Observing{}
			b.run(context.Background(), Deps{Engine: b.engine, Images: b.engine, Store: b.store, Router: b.router,
				Observe: seen.take})
		}
		start()
		want := func(when string, o rhumb.Observing) {
			t.Helper()
			if got, ok := seen.of("shop"); !ok || !reflect.DeepEqual(got, o) {
				t.Errorf("%s: %+v, %v", when, got, ok)
			}
		}
		b.deploy(shop("web:1"))
		want("without anything", rhumb.Observing{})
		ids, day := b.ids(), rhumb.LogLimits{Keep: 24 * time.Hour}
		m := shop("web:1")
		m.Logs = day
		m.Services[1].Metrics = &rhumb.Scrape{Port: 9090, Path: "/metrics", Every: time.Minute}
		m.Alerts = []rhumb.AlertRule{{Name: "Slow", Expr: "a > 1"}}
		asked := m.Observing()
		p, err := b.Plan(context.Background(), rhumb.DeployRequest{Model: m})
		if err != nil || len(p.Changes) == 0 || len(p.Steps) > 0 {
			t.Errorf("the plan is %+v, %v", p, err)
		}
		want("after a plan", rhumb.Observing{})
		if d := b.deploy(m); d.Phase != rhumb.PhaseConverged || d.To != 2 || b.ids() != ids {
			t.Errorf("%s in release %d, with replicas %s instead of %s", d.Phase, d.To, b.ids(), ids)
		}
		want("after a deployment", asked)
		b.stop()
		start()
		time.Sleep(time.Second)
		want("after a restart", asked)
		d, err := b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseRollback})
		if err != nil {
			t.Fatal(err)
		}
		b.ends(d)
		want("after a rollback", rhumb.Observing{})
		b.deploy(m)
		if d, err = b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown}); err != nil {
			t.Fatal(err)
		}
		b.ends(d)
		want("when it is down", asked)
	})
}

func TestLimitsChangeTheTableAndNoReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		m := shop("web:1")
		m.Services[1].Limits = []rhumb.Limit{{Rate: rhumb.Rate{Count: 20, Per: time.Second}, Burst: 40}}
		if d := b.deploy(m); d.Phase != rhumb.PhaseConverged || len(b.web().Limits) != 1 {
			t.Errorf("at first: %s, and the table has %+v", d.Phase, b.web())
		}
		ids := b.ids()
		m = shop("web:1")
		m.Services[1].Limits = []rhumb.Limit{{Connections: 3}}
		d := b.deploy(m)
		if d.Phase != rhumb.PhaseConverged || !rhumb.SameLimits(b.web().Limits, m.Services[1].Limits) || b.ids() != ids {
			t.Errorf("%s with %+v and replicas %s instead of %s", d.Phase, b.web(), b.ids(), ids)
		}
		if d := b.deploy(shop("web:1")); d.Phase != rhumb.PhaseConverged || b.web().Limits != nil || b.ids() != ids {
			t.Errorf("without: %s with %+v", d.Phase, b.web())
		}
	})
}
