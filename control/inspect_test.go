package control

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
	"rhumb/rollout"
)

func TestAStatusSaysHowManyRequestsWaitForAService(t *testing.T) {
	now := time.Now()
	st := rhumb.RouterStatus{
		Table: rhumb.Table{Backends: []rhumb.Backend{{Name: "shop/web:80", Stack: "shop", Service: "web"}, {Name: "shop/web:81", Stack: "shop", Service: "web"},
			{Name: "blog/web:80", Stack: "blog", Service: "web"}, {Name: "shop/gone:80", Stack: "shop", Service: "gone"}}},
		Backends: map[string]rhumb.BackendStats{"shop/web:80": {Waiting: 2, WaitingSince: now.Add(-time.Second)}, "shop/web:81": {Waiting: 1, WaitingSince: now.Add(-3 * time.Second)},
			"blog/web:80": {Waiting: 9, WaitingSince: now.Add(-time.Hour)}, "shop/gone:80": {Waiting: 1}},
	}
	services := []rhumb.ServiceStatus{{Name: "db"}, {Name: "web"}}
	noteHolds(services, "shop", st, now)
	if web := services[1]; web.Waiting != 3 || web.Waited != 3*time.Second || services[0].Waiting != 0 {
		t.Errorf("got %+v", services)
	}
}

// slowRouter holds back the Status call that follows a message on arm, until hold is closed.
type slowRouter struct {
	rhumb.Router
	hold chan struct{}
	arm  chan struct{}
}

func (s *slowRouter) Status(ctx context.Context) (rhumb.RouterStatus, error) {
	select {
	case <-s.arm:
		<-s.hold
	default:
	}
	return s.Router.Status(ctx)
}

func TestAStatusCutsNoPostStartHookOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.stop()
		slow := &slowRouter{Router: b.router, hold: make(chan struct{}), arm: make(chan struct{}, 1)}
		b.run(context.Background(), Deps{Engine: b.engine, Images: b.engine, Store: b.store, Router: slow})
		b.deploy(shop("web:1"))
		m := shop("web:2")
		m.Services[1].PostStart = []rhumb.Hook{{Command: []string{"seed"}, Timeout: time.Minute}}
		var runs atomic.Int64
		b.engine.Behave("web", "web:2", enginefake.Behaviour{Exec: func(rhumb.ExecOptions) int {
			runs.Add(1)
			time.Sleep(5 * time.Second)
			return 0
		}})
		slow.arm <- struct{}{} // the status has listed the replicas, and waits for the proxy
		got := make(chan error, 1)
		go func() { _, err := b.Status(context.Background(), "shop"); got <- err }()
		synctest.Wait()
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // the first replica's hook is under way
		close(slow.hold)
		if err := <-got; err != nil {
			t.Error(err)
		}
		d = b.ends(d)
		if d.Phase != rhumb.PhaseConverged || runs.Load() != 2 || len(d.Hooks) != 2 {
			t.Errorf("%s: the hook began %d times for 2 replicas, and %d runs are recorded", d.Phase, runs.Load(), len(d.Hooks))
		}
	})
}

func TestAStatusCountsNoReplicaReadyThatTheTurnDoesNot(t *testing.T) {
	now := time.Now()
	m := shop("web:1")
	m.Services[1].Ready.Kind = rhumb.ReadyTCP
	g := &goal{wanted: rollout.Wanted{Stack: "shop", Model: &m, Specs: m.Specs()}}
	rep := func(id, service string, slot int) rhumb.Replica {
		return rhumb.Replica{ID: id, Stack: "shop", Service: service, Slot: slot, Release: 1, Spec: g.wanted.Specs[service],
			State: rhumb.StateRunning, Started: now.Add(-time.Minute)}
	}
	o := rollout.Observed{
		Replicas:  []rhumb.Replica{rep("db", "db", 1), rep("up", "web", 1), rep("failed", "web", 2), rep("stopping", "web", 3), rep("hooks", "web", 4)},
		Ready:     map[string]time.Time{"up": now, "failed": now, "stopping": now, "hooks": now},
		Recorded:  map[string]bool{"failed": true},
		Stopping:  map[string]bool{"stopping": true},
		PostStart: map[string]time.Time{"hooks": {}},
	}
	for _, s := range serviceStatuses(g, o, now) {
		for _, r := range s.Slots {
			if want := r.ID == "db" || r.ID == "up"; r.Ready != want {
				t.Errorf("%s is ready: %t, status %q", r.ID, r.Ready, r.Status)
			}
			if r.ID == "stopping" && r.Status != "leaving" {
				t.Errorf("a replica that is being stopped reads %q", r.Status)
			}
		}
		if s.Ready != 1 {
			t.Errorf("%d of %s count as ready, want 1", s.Ready, s.Name)
		}
	}
}
