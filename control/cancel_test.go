package control

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// laggard is an engine that takes its time to start a service's replicas of the second release, and to stop any. It
// notes all starts.
type laggard struct {
	*enginefake.Engine
	service string
	ready   chan struct{} // closed: they are started

	mu    sync.Mutex
	begun []string
}

func (e *laggard) Start(ctx context.Context, s rhumb.ReplicaSpec) (rhumb.Replica, error) {
	e.mu.Lock()
	e.begun = append(e.begun, s.Name())
	e.mu.Unlock()
	if s.Service == e.service && s.Release == 2 {
		<-e.ready
	}
	return e.Engine.Start(ctx, s)
}

func (e *laggard) Stop(ctx context.Context, id string) error {
	<-time.After(time.Second)
	return e.Engine.Stop(ctx, id)
}

func (e *laggard) starts() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.begun)
}

func TestACancelledDeploymentLaunchesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		e := &laggard{Engine: b.engine, service: "db", ready: make(chan struct{})}
		b.stop()
		b.run(context.Background(), Deps{Engine: e, Images: b.engine, Store: b.store, Router: b.router})
		model := func(image string) rhumb.Stack {
			m := shop(image)
			m.Services[0].Container.Env = map[string]string{"FOR": image}
			m.Services[0].Order = rhumb.StartFirst
			m.Services[1].DependsOn, m.Services[1].Replicas, m.Services[1].Ready.Timeout = nil, 6, 100*time.Millisecond
			return m
		}
		b.deploy(model("web:1"))
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: model("web:2")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.eventually(func() bool { return e.starts() == 7+3 }) // db and two of web
		if err := b.Cancel(context.Background(), "shop", d.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if n := e.starts(); n != 7+3 {
			t.Errorf("begun since it was cancelled: %v", e.begun[10:])
		}
		close(e.ready)
		if d = b.ends(d); d.Verdict().Exit != rhumb.ExitCancelled {
			t.Errorf("got %+v", d.Verdict())
		}
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2", "shop-web.1.3", "shop-web.1.4", "shop-web.1.5",
			"shop-web.1.6")
	})
}

func TestCancellingARollbackKeepsItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		b.engine.Behave("web", "web:2", enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 3})
		m := shop("web:2")
		m.Services[1].Ready.Timeout = time.Minute
		b.engine.Fail("Remove", 5, rhumb.Errorf(rhumb.Unavailable, "the engine is busy"))
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.eventually(func() bool {
			now, err := b.Deployment(context.Background(), "shop", d.ID)
			return err == nil && now.Phase == rhumb.PhaseRollingBack
		})
		if err := b.Cancel(context.Background(), "shop", d.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		d = b.ends(d)
		if v := d.Verdict(); v.Exit != rhumb.ExitRolledBack || !strings.Contains(v.Text, "exited with 3") {
			t.Errorf("got %+v", v)
		}
	})
}

func TestACancelledDeploymentWaitsForNoHook(t *testing.T) {
	for _, what := range []string{"migrate", "prepare", "greet", "smoke"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, d := newBed(t), &diary{}
				b.hooking(d, nil)
				b.deploy(hookedShop("web:1"))
				before := d.count(what)
				b.engine.Interpret(func(s rhumb.ReplicaSpec) enginefake.Behaviour {
					command := strings.Join(s.Container.Command, " ")
					if command == what {
						d.note(command)
						return enginefake.Behaviour{ExitAfter: 50 * time.Second}
					}
					return enginefake.Behaviour{ExitAtOnce: command == "migrate", Exec: func(o rhumb.ExecOptions) int {
						if o.Command[0] == what {
							d.note(what)
							time.Sleep(9 * time.Second)
						}
						return 0
					}}
				})
				dep, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: hookedShop("web:2")}, nil)
				if err != nil {
					t.Fatal(err)
				}
				b.eventually(func() bool { return d.count(what) > before })
				at, begun := time.Now(), d.count(what)
				if err := b.Cancel(context.Background(), "shop", dep.ID, "ada"); err != nil {
					t.Fatal(err)
				}
				dep = b.ends(dep)
				if v, took := dep.Verdict(), time.Since(at); v.Exit != rhumb.ExitCancelled || took > 3*time.Second ||
					len(dep.Failures) > 0 {
					t.Errorf("after %s: %+v, %+v", took, v, dep.Failures)
				}
				if d.count(what) > begun {
					t.Error("it was begun again")
				}
				time.Sleep(time.Minute) // the fake's own commands go on
			})
		})
	}
}

func TestAReplicaThatComesTooLateRunsNoHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBed(t), &diary{}
		b.hooking(d, nil)
		e := &laggard{Engine: b.engine, service: "web", ready: make(chan struct{})}
		b.stop()
		b.run(context.Background(), Deps{Engine: e, Images: b.engine, Store: b.store, Router: b.router})
		b.deploy(hookedShop("web:1"))
		dep, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: hookedShop("web:2")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.eventually(func() bool { return e.starts() == 4+2 }) // the job and the first of web
		if err := b.Cancel(context.Background(), "shop", dep.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		close(e.ready)
		if dep = b.ends(dep); dep.Phase != rhumb.PhaseRolledBack || d.count("greet") != 2 {
			t.Errorf("%s, ran %d hooks", dep.Phase, d.count("greet"))
		}
	})
}
