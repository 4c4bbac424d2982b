package control

import (
	"context"
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

// limitsSeen records the limits of stacks as a daemon is sent them.
type limitsSeen struct {
	mu  sync.Mutex
	all map[string]rhumb.LogLimits
}

func (l *limitsSeen) take(stack string, limits rhumb.LogLimits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[stack] = limits
}

func (l *limitsSeen) of(stack string) (rhumb.LogLimits, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limits, ok := l.all[stack]
	return limits, ok
}

func TestLimitsOfLogsFollowTheWantedRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.stop()
		seen := &limitsSeen{}
		start := func() {
			seen.all = map[string]rhumb.LogLimits{}
			b.run(context.Background(), Deps{Engine: b.engine, Images: b.engine, Store: b.store, Router: b.router,
				LogLimits: seen.take})
		}
		start()
		want := func(when string, l rhumb.LogLimits) {
			t.Helper()
			if got, ok := seen.of("shop"); !ok || got != l {
				t.Errorf("%s: %+v, %v", when, got, ok)
			}
		}
		b.deploy(shop("web:1"))
		want("without limits", rhumb.LogLimits{})
		ids, day := b.ids(), rhumb.LogLimits{Keep: 24 * time.Hour}
		m := shop("web:1")
		m.Logs = day
		p, err := b.Plan(context.Background(), rhumb.DeployRequest{Model: m})
		if err != nil || len(p.Changes) != 1 || len(p.Steps) > 0 {
			t.Errorf("the plan is %+v, %v", p, err)
		}
		want("after a plan", rhumb.LogLimits{})
		if d := b.deploy(m); d.Phase != rhumb.PhaseConverged || d.To != 2 || b.ids() != ids {
			t.Errorf("%s in release %d, with replicas %s instead of %s", d.Phase, d.To, b.ids(), ids)
		}
		want("after a deployment", day)
		b.stop()
		start()
		time.Sleep(time.Second)
		want("after a restart", day)
		d, err := b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseRollback})
		if err != nil {
			t.Fatal(err)
		}
		b.ends(d)
		want("after a rollback", rhumb.LogLimits{})
		b.deploy(m)
		if d, err = b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown}); err != nil {
			t.Fatal(err)
		}
		b.ends(d)
		want("when it is down", day)
	})
}
