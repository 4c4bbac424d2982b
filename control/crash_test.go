package control

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// mortal lets a daemon live for a number of changes to the world. After the last one it dies: the change has been
// made, but the daemon never hears of it, and whatever it calls from then on doesn't happen.
type mortal struct {
	mu   sync.Mutex
	left int
	die  func() // cuts the daemon's context
}

// change makes a change unless the daemon is dead, and kills it if that was its last.
func (m *mortal) change(ctx context.Context, do func() error) error {
	m.mu.Lock()
	if m.left <= 0 {
		m.mu.Unlock()
		return dead(ctx)
	}
	m.left--
	last := m.left == 0
	m.mu.Unlock()
	err := do()
	if last {
		m.die()
		return dead(ctx)
	}
	return err
}

// made is change for what makes something.
func made[T any](ctx context.Context, m *mortal, do func() (T, error)) (t T, err error) {
	err = m.change(ctx, func() error { t, err = do(); return err })
	return t, err
}

func dead(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (m *mortal) alive() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left > 0
}

// mortalEngine, mortalRouter and mortalStore count what they change.
type mortalEngine struct {
	fullEngine
	m *mortal
}

func (e mortalEngine) Start(ctx context.Context, s rhumb.ReplicaSpec) (rhumb.Replica, error) {
	return made(ctx, e.m, func() (rhumb.Replica, error) { return e.fullEngine.Start(ctx, s) })
}

func (e mortalEngine) Stop(ctx context.Context, id string) error {
	return e.m.change(ctx, func() error { return e.fullEngine.Stop(ctx, id) })
}

func (e mortalEngine) Remove(ctx context.Context, id string) error {
	return e.m.change(ctx, func() error { return e.fullEngine.Remove(ctx, id) })
}

func (e mortalEngine) SetHosts(ctx context.Context, id string, hosts map[string]string) error {
	return e.m.change(ctx, func() error { return e.fullEngine.SetHosts(ctx, id, hosts) })
}

func (e mortalEngine) EnsureNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	return e.m.change(ctx, func() error { return e.fullEngine.EnsureNetwork(ctx, stack, n) })
}

func (e mortalEngine) RemoveNetwork(ctx context.Context, stack, name string) error {
	return e.m.change(ctx, func() error { return e.fullEngine.RemoveNetwork(ctx, stack, name) })
}

type mortalRouter struct {
	rhumb.Router
	m *mortal
}

func (r mortalRouter) Apply(ctx context.Context, t rhumb.Table) error {
	return r.m.change(ctx, func() error { return r.Router.Apply(ctx, t) })
}

type mortalStore struct {
	rhumb.Store
	m *mortal
}

func (s mortalStore) Save(ctx context.Context, d rhumb.Deployment) (rhumb.Deployment, error) {
	return made(ctx, s.m, func() (rhumb.Deployment, error) { return s.Store.Save(ctx, d) })
}

// startMortal runs a Control that dies after n changes. It reports whether it has died by the time it is idle.
func (b *bed) startMortal(n int) *mortal {
	ctx, cancel := context.WithCancel(context.Background())
	m := &mortal{left: n, die: cancel}
	b.run(ctx, Deps{Engine: mortalEngine{b.sees(), m}, Images: b.engine, Store: mortalStore{b.store, m},
		Router: mortalRouter{b.router, m}})
	return m
}

// crashAfter begins a deployment under a daemon that dies after n changes, starts another one, and returns how the
// deployment ends.
// It reports false once n is more than the whole deployment needs.
func crashAfter(b *bed, n int, begin func() (rhumb.Deployment, error)) (end rhumb.Deployment, died bool) {
	b.stop()
	m := b.startMortal(n)
	d, err := begin()
	if err != nil {
		b.t.Fatalf("after %d changes: %v", n, err)
	}
	synctest.Wait()
	for range 400 { // until it is dead, or the deployment has ended and all is quiet
		if !m.alive() {
			break
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
	died = !m.alive()
	b.stop()
	b.start()
	b.eventually(func() bool {
		end, err = b.Deployment(context.Background(), d.Stack, d.ID)
		return err == nil && end.Phase.Ended()
	})
	return end, died
}

func TestADaemonThatDiesAfterAnyStepFinishesWhenItIsBack(t *testing.T) {
	for n := 1; ; n++ {
		died := false
		t.Run(fmt.Sprintf("after %d", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				b.deploy(shop("web:1"))
				b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
				var d rhumb.Deployment
				d, died = crashAfter(b, n, func() (rhumb.Deployment, error) {
					return b.Deploy(context.Background(), rhumb.DeployRequest{Model: shop("web:2")}, nil)
				})
				if d.Phase != rhumb.PhaseConverged {
					t.Fatalf("got %s: %s", d.Phase, d.Why)
				}
				b.wantReplicas("shop-db.1.1", "shop-web.2.1", "shop-web.2.2")
				b.wantRouted("shop-web.2.1", "shop-web.2.2")
			})
		})
		if !died || t.Failed() {
			if n < 10 && !t.Failed() {
				t.Fatalf("a deployment of two replicas makes more than %d changes", n)
			}
			return
		}
	}
}

func TestADaemonThatDiesWhilePuttingBackFinishesWhenItIsBack(t *testing.T) {
	for n := 1; ; n++ {
		died := false
		t.Run(fmt.Sprintf("after %d", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				b.deploy(shop("web:1"))
				b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
				reps, _ := b.engine.Replicas(context.Background(), "shop")
				b.engine.Interpret(func(s rhumb.ReplicaSpec) enginefake.Behaviour {
					if s.Release == 2 && s.Slot == 2 {
						return enginefake.Behaviour{ExitAtOnce: true, ExitCode: 1}
					}
					return enginefake.Behaviour{}
				})
				var d rhumb.Deployment
				d, died = crashAfter(b, n, func() (rhumb.Deployment, error) {
					m := shop("web:2")
					m.Networks = append(m.Networks, rhumb.Network{Key: "more", Name: "shop_more"})
					return b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
				})
				if d.Phase != rhumb.PhaseRolledBack {
					t.Fatalf("got %s: %s", d.Phase, d.Why)
				}
				b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
				b.wantRouted("shop-web.1.1", "shop-web.1.2")
				now, _ := b.engine.Replicas(context.Background(), "shop")
				if now[0].ID != reps[0].ID {
					t.Error("the database was touched")
				}
				if held, _ := b.engine.Holdings(context.Background(), "shop"); len(held.Networks) != 1 ||
					len(held.Volumes) != 1 {
					t.Errorf("left: %+v", held)
				}
			})
		})
		if !died || t.Failed() {
			return
		}
	}
}

// wantRouted wants the table to lead to these replicas and no others, in a moment.
func (b *bed) wantRouted(names ...string) {
	b.t.Helper()
	b.eventually(func() bool {
		st, err := b.router.Status(context.Background())
		if err != nil || len(st.Table.Backends) != 1 || len(st.Table.Backends[0].Endpoints) != len(names) {
			return false
		}
		for i, e := range st.Table.Backends[0].Endpoints {
			if e.Name != names[i] || e.Draining {
				return false
			}
		}
		return true
	})
}

func TestADaemonThatDiesWhileAddressesChangeFinishesWhenItIsBack(t *testing.T) {
	for n := 1; ; n++ {
		died := false
		t.Run(fmt.Sprintf("after %d", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				newLand(b)
				b.deploy(inner("api:1"))
				var d rhumb.Deployment
				d, died = crashAfter(b, n, func() (rhumb.Deployment, error) {
					m := inner("api:2")
					m.Networks = append(m.Networks, rhumb.Network{Key: "back", Name: "shop_back"})
					m.Services[0].Container.Networks = append(m.Services[0].Container.Networks,
						rhumb.Attachment{Network: "shop_back", Aliases: []string{"api"}})
					m.Services[1].Container.Env = map[string]string{"A": "1"} // the database too, stop-first
					return b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
				})
				if d.Phase != rhumb.PhaseConverged {
					t.Fatalf("got %s: %s", d.Phase, d.Why)
				}
				b.wantReplicas("shop-api.2.1", "shop-api.2.2", "shop-db.2.1")
				b.eventually(func() bool {
					st, _ := b.router.Status(context.Background())
					return len(st.Table.Segments) == 2 && b.leads("api", "shop-api.2.1", "shop-api.2.2") &&
						b.leads("db", "shop-db.2.1")
				})
				reps, _ := b.engine.Replicas(context.Background(), "shop")
				_, db := b.address("db")
				for _, r := range reps {
					if got := b.engine.Hosts(r.ID); got["db"] != db.Addr.String() || got["api"] == "" {
						t.Errorf("%s has the names %v", r.Name(), got)
					}
				}
			})
		})
		if !died || t.Failed() {
			return
		}
	}
}
