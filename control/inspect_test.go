package control

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

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
