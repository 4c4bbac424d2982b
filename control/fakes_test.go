package control

import (
	"context"
	"os"
	"testing"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
	"rhumb/internal/routertest"
	"rhumb/sqlite"
	"rhumb/sqlite/storetest"
)

// TestMain keeps the databases in memory where it can: each commit would wait for a disk that others use too, and no
// test here loses power.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("/dev/shm", "rhumb-control-*")
	if err == nil {
		os.Setenv("TMPDIR", dir)
	}
	code := m.Run()
	if err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// bed is a Control on a fake engine and a fake router, with a real store.
type bed struct {
	*Control
	engine *enginefake.Engine
	router *routertest.Router
	store  *sqlite.Store
	land   *land // what the daemon sees of the engine, if that is more; nil: the engine itself
	sweep  func(context.Context) error
	t      *testing.T
	stop   func()
}

func newBed(t *testing.T) *bed {
	t.Helper()
	store := storetest.Open(t)
	b := &bed{engine: enginefake.New(time.Now), router: routertest.New(), store: store, t: t}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start runs a Control; stop ends it as a crash would: nothing is finished.
func (b *bed) start() {
	b.run(context.Background(), Deps{Engine: b.sees(), Images: b.engine, Store: b.store, Router: b.router,
		Sweep: b.sweep})
}

// run is start with parts of the caller's.
func (b *bed) run(ctx context.Context, d Deps) {
	b.Control = New(d)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- b.Control.Hold(ctx) }()
	b.stop = func() { cancel(); <-done }
}

// fullEngine is an engine with all the capabilities that tests replace.
type fullEngine interface {
	rhumb.Engine
	rhumb.Prober
	rhumb.HostsSetter
	rhumb.LogReader
	rhumb.CommandRunner
}

// sees returns the engine as the daemon sees it.
func (b *bed) sees() fullEngine {
	if b.land != nil {
		return b.land
	}
	return b.engine
}

// ends waits until a deployment has ended.
func (b *bed) ends(d rhumb.Deployment) rhumb.Deployment {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for e, err := range b.Events(ctx, rhumb.EventFilter{Stack: d.Stack, Deployment: d.ID, Follow: true}) {
		if err != nil {
			b.t.Fatal(err)
		}
		if e.Kind == rhumb.EventDeployment && e.Phase.Ended() {
			got, err := b.Deployment(ctx, d.Stack, d.ID)
			if err != nil {
				b.t.Fatal(err)
			}
			return got
		}
	}
	info, _ := b.Status(context.Background(), d.Stack)
	b.t.Fatalf("deployment %d of %s has not ended: %+v", d.ID, d.Stack, info)
	return d
}

// deploy deploys a model and waits for its end.
func (b *bed) deploy(m rhumb.Stack) rhumb.Deployment {
	b.t.Helper()
	d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m, By: "test"}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if d.Phase.Ended() {
		return d
	}
	return b.ends(d)
}

// shop is a stack of a served web service with two replicas, and a database.
func shop(image string) rhumb.Stack {
	quick := rhumb.Ready{Kind: rhumb.ReadyRunning, Timeout: time.Millisecond}
	policy := rhumb.Policy{Parallelism: 1, OnFailure: rhumb.ActionRollback}
	net := []rhumb.Attachment{{Network: "shop_default", Aliases: []string{"web"}}}
	return rhumb.Stack{
		Name:     "shop",
		Networks: []rhumb.Network{{Key: "default", Name: "shop_default"}},
		Volumes:  []rhumb.Volume{{Key: "db", Name: "shop_db"}},
		Services: []rhumb.Service{
			{
				Name: "db", Replicas: 1, Order: rhumb.StopFirst, OrderWhy: "mounts volume db read-write",
				Ready: quick, Update: policy, Rollback: policy,
				Container: rhumb.Container{Image: "postgres", Networks: net,
					Mounts: []rhumb.Mount{{Type: rhumb.MountVolume, Source: "shop_db", Target: "/data"}}},
			},
			{
				Name: "web", Replicas: 2, Order: rhumb.StartFirst, Ready: quick, Update: policy, Rollback: policy,
				Container: rhumb.Container{Image: image, Networks: net},
				Ports:     []rhumb.Port{{Published: 8080, Target: 80, Protocol: rhumb.TCP}},
				DependsOn: []rhumb.Dependency{{Service: "db", Condition: rhumb.DependsStarted}},
			},
		},
	}
}
