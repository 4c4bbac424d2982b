package control

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	e := &slowRemoval{Engine: b.engine, began: make(chan struct{}), proceed: make(chan struct{}),
		looks: make(chan struct{}, 1)}
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
		b.stacks.Wake("shop")
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

// onNetwork returns the shop on a network that has, or hasn't, a way out.
func onNetwork(image string, internal bool) rhumb.Stack {
	m := shop(image)
	m.Networks[0].Internal = internal
	return m
}

// joined lists the networks that the running replicas of the shop are in.
func joined(t *testing.T, b *bed) []string {
	t.Helper()
	list, err := b.engine.Replicas(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range list {
		for name := range r.Addrs {
			if r.Alive() {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// comes waits until the shop's networks are these, and its replicas in them.
func comes(t *testing.T, b *bed, want ...string) {
	t.Helper()
	for range b.engineChanges() {
		h, err := b.engine.Holdings(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if slices.Equal(h.Networks, want) && slices.Equal(joined(t, b), want) {
			return
		}
	}
	t.Errorf("replicas are in %v, want %v", joined(t, b), want)
}

// engineChanges yields now and whenever something may have changed in the engine, for half a minute.
func (b *bed) engineChanges() <-chan rhumb.Change {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	b.t.Cleanup(cancel)
	changes, err := b.engine.Watch(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	out := make(chan rhumb.Change, 1)
	go func() {
		defer close(out)
		out <- rhumb.Change{}
		for c := range changes {
			select {
			case out <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func TestANetworkThatChangesIsMadeAgainWithItsReplicas(t *testing.T) {
	b := newBed(t)
	b.deploy(onNetwork("web:1", false))
	comes(t, b, "shop_default")
	m := onNetwork("web:1", true)
	plan, err := b.Plan(t.Context(), rhumb.DeployRequest{Model: m})
	if err != nil {
		t.Fatal(err)
	}
	if what := plan.Changes[0].What; !slices.Equal(what, []string{"networks.default changed: internal false to true"}) {
		t.Errorf("the plan says %q", what)
	}
	made, removed := "", ""
	for _, s := range plan.Steps {
		switch s.Kind {
		case rhumb.StepNetwork:
			made = s.Name
		case rhumb.StepRemoveNetwork:
			removed = s.Name
		}
	}
	if !strings.HasPrefix(made, "shop-") || len(made) != len("shop-12345678_default") || removed != "shop_default" {
		t.Errorf("the plan makes %q and removes %q", made, removed)
	}
	if d := b.deploy(m); d.Phase != rhumb.PhaseConverged {
		t.Fatalf("%s: %s", d.Phase, d.Why)
	}
	comes(t, b, made)
	if d := b.deploy(m); d.To != 2 {
		t.Errorf("the same once more is release %d", d.To)
	}
	d, err := b.Change(t.Context(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseRollback})
	if err != nil {
		t.Fatal(err)
	}
	if d = b.ends(d); d.Phase != rhumb.PhaseConverged {
		t.Fatalf("rollback: %s, %s", d.Phase, d.Why)
	}
	comes(t, b, "shop_default")
	b.engine.Behave("web", "web:2", enginefake.Behaviour{ExitAtOnce: true, ExitCode: 1})
	if d := b.deploy(onNetwork("web:2", true)); d.Phase != rhumb.PhaseRolledBack {
		t.Fatalf("a release that fails: %s, %s", d.Phase, d.Why)
	}
	comes(t, b, "shop_default")
}

func TestWhatCantChangeIsRefusedBeforeAnythingHappens(t *testing.T) {
	subnet := func(m rhumb.Stack, key string) rhumb.Stack {
		m.Networks[0].IPAM.Pools = []rhumb.Pool{{Subnet: key}}
		return m
	}
	named := func(m rhumb.Stack) rhumb.Stack {
		m.Networks[0].Name = "shared"
		for i := range m.Services {
			m.Services[i].Container.Networks = []rhumb.Attachment{{Network: "shared"}}
		}
		return m
	}
	options := func(size string) rhumb.Stack {
		m := shop("web:1")
		m.Volumes[0].DriverOpts = map[string]string{"type": "tmpfs", "o": "size=" + size}
		return m
	}
	for name, c := range map[string]struct {
		was, is rhumb.Stack
		want    []string // words of the error and its hint
	}{
		"a network with a name": {named(onNetwork("web:1", false)), named(onNetwork("web:1", true)),
			[]string{"network default: shared can't be changed: internal false to true", "rhumb down"}},
		"a network in the same subnet": {subnet(onNetwork("web:1", false), "10.1.0.0/24"),
			subnet(onNetwork("web:1", true), "10.1.0.0/24"),
			[]string{"network default: it (internal false to true) can't be created beside shop_default",
				"10.1.0.0/24 and 10.1.0.0/24 overlap", "rhumb down"}},
		"a volume's options": {options("10m"), options("20m"),
			[]string{"volume shop_db: it is there and defined otherwise: driver_opts.o"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.deploy(c.was)
			before, _ := b.engine.Holdings(t.Context(), "shop")
			_, planned := b.Plan(t.Context(), rhumb.DeployRequest{Model: c.is})
			_, err := b.Deploy(t.Context(), rhumb.DeployRequest{Model: c.is}, nil)
			if rhumb.ErrorCode(err) != rhumb.Conflict || planned == nil || planned.Error() != err.Error() {
				t.Errorf("deploy: %v, plan: %v", err, planned)
			}
			for _, word := range c.want {
				if !strings.Contains(err.Error()+" "+rhumb.ErrorHint(err), word) {
					t.Errorf("%q isn't in %v (%s)", word, err, rhumb.ErrorHint(err))
				}
			}
			after, _ := b.engine.Holdings(t.Context(), "shop")
			if state, err := b.store.StackState(t.Context(), "shop"); err != nil || state.Last != 1 ||
				!slices.Equal(before.Networks, after.Networks) {
				t.Errorf("something happened: %+v, %v", state, after)
			}
			if d := b.deploy(c.was); d.To != 1 {
				t.Errorf("as it was: release %d", d.To)
			}
		})
	}
}

func TestOtherLabelsOfANetworkAreNoted(t *testing.T) {
	b := newBed(t)
	b.deploy(shop("web:1"))
	m := shop("web:1")
	m.Networks[0].Labels, m.Networks[0].Driver = map[string]string{"a": "b"}, "bridge" // which is the default
	m.Volumes[0].Labels = map[string]string{"a": "b"}
	plan, err := b.Plan(t.Context(), rhumb.DeployRequest{Model: m})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Changes) > 0 || len(plan.Steps) > 0 || len(plan.Notes) != 2 ||
		plan.Notes[0].Subject != "networks.default.labels" {
		t.Errorf("plan: %+v", plan)
	}
}

func TestReplicasOfBothReleasesMeetInTheOldNetwork(t *testing.T) {
	b := newBed(t)
	b.deploy(onNetwork("web:1", false))
	var specs sync.Map // by service and release: the networks beside
	b.engine.Interpret(func(s rhumb.ReplicaSpec) enginefake.Behaviour {
		for _, a := range s.Beside {
			specs.Store(s.Service, a.Network+" as "+strings.Join(a.Aliases, " "))
		}
		return enginefake.Behaviour{}
	})
	if d := b.deploy(onNetwork("web:2", true)); d.Phase != rhumb.PhaseConverged {
		t.Fatalf("%s: %s", d.Phase, d.Why)
	}
	if got, _ := specs.Load("web"); got != "shop_default as web" {
		t.Errorf("web is in %v", got)
	}
	model := b.serving(t)
	comes(t, b, model.Networks[0].Name) // alone: the old one goes, and the replicas were taken out of it
}

// serving returns the model that the shop serves.
func (b *bed) serving(t *testing.T) *rhumb.Stack {
	t.Helper()
	r, err := b.ledger.Current(t.Context(), "shop")
	if err != nil || r == nil {
		t.Fatalf("%v, %v", r, err)
	}
	return &r.Model
}
