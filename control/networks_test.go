package control

import (
	"context"
	"sync/atomic"
	"testing"

	"rhumb"
	"rhumb/engine/enginefake"
)

// slowRemoval is an engine that takes its time to remove a network.
type slowRemoval struct {
	*enginefake.Engine
	began, proceed chan struct{}
	looks          chan struct{} // a turn of the runner has looked
	early          atomic.Bool   // a replica was to start while a removal went on
	removing       atomic.Bool
}

func (e *slowRemoval) RemoveNetwork(ctx context.Context, stack, name string) error {
	e.removing.Store(true)
	e.began <- struct{}{}
	<-e.proceed
	err := e.Engine.RemoveNetwork(ctx, stack, name)
	e.removing.Store(false)
	return err
}

func (e *slowRemoval) Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error) {
	select {
	case e.looks <- struct{}{}:
	default:
	}
	return e.Engine.Replicas(ctx, stack)
}

func (e *slowRemoval) Start(ctx context.Context, s rhumb.ReplicaSpec) (rhumb.Replica, error) {
	if e.removing.Load() {
		e.early.Store(true)
	}
	return e.Engine.Start(ctx, s)
}

// webOn returns the shop's web service alone, on a network of that key.
func webOn(image, key string) rhumb.Stack {
	m := shop(image)
	m.Networks = []rhumb.Network{{Key: key, Name: "shop_" + key}}
	m.Volumes, m.Services = nil, m.Services[1:]
	m.Services[0].DependsOn = nil
	m.Services[0].Container.Networks = []rhumb.Attachment{{Network: "shop_" + key, Aliases: []string{"web"}}}
	return m
}

func TestANetworkThatIsBeingRemovedIsMadeAgainFirst(t *testing.T) {
	b := newBed(t)
	e := &slowRemoval{Engine: b.engine, began: make(chan struct{}), proceed: make(chan struct{}), looks: make(chan struct{}, 1)}
	b.stop()
	b.run(context.Background(), Deps{Engine: e, Images: b.engine, Store: b.store, Router: b.router})
	b.deploy(webOn("web:1", "one"))
	if d := b.deploy(webOn("web:1", "two")); d.Phase != rhumb.PhaseConverged {
		t.Fatalf("to the second network: %s, %s", d.Phase, d.Why)
	}
	<-e.began // the first network is on its way out when the next deployment wants it back
	d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: webOn("web:2", "one"), By: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // turns of the runner, each of which could begin to start replicas
		b.runner("shop").Wake()
		<-e.looks
	}
	close(e.proceed)
	go func() { // the second network goes at the end
		for range e.began {
		}
	}()
	if d = b.ends(d); d.Phase != rhumb.PhaseConverged || len(d.Failures) > 0 {
		t.Errorf("back to the first network: %s, %s, %d failures", d.Phase, d.Why, len(d.Failures))
	}
	if e.early.Load() {
		t.Error("a replica was to start in a network that was being removed")
	}
}
