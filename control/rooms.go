package control

import (
	"context"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/act"
	"rhumb/control/events"
	"rhumb/control/hooks"
	"rhumb/control/ledger"
	"rhumb/control/oneoff"
	"rhumb/control/release"
	"rhumb/control/routing"
	"rhumb/control/run"
	"rhumb/control/scene"
	"rhumb/control/upkeep"
)

// rooms are the rooms of a daemon, wired together.
type rooms struct {
	Deps
	Engine  engine // that of Deps, with all capabilities
	started time.Time
	events  *events.Bus
	desk    *routing.Desk
	ledger  *ledger.Ledger
	maker   *release.Maker
	care    *upkeep.Caretaker
	oneoffs *oneoff.Room
	sources scene.Sources
	stacks  *run.Supervisor
}

// newRooms wires the rooms.
func newRooms(d Deps) *rooms {
	c := &rooms{
		Deps:    d,
		Engine:  engine{d.Engine},
		started: time.Now(),
		events:  events.New(d.Store, d.Log),
		desk:    routing.NewDesk(d.Router, d.Entry, d.HTTPS, d.ACME),
	}
	c.ledger = ledger.New(ledger.Deps{
		Store: d.Store, Check: c.desk.Check, Router: c.desk.Status, Announce: c.events.Announce, Keep: c.keep,
		Begun:   func(stack string) { c.stacks.For(stack) },
		Changed: func(stack string) { c.stacks.Wake(stack) },
	})
	c.maker = &release.Maker{Engine: d.Engine, Images: d.Images, Store: d.Store, Ports: c.desk,
		Current: c.ledger.Current, Key: d.Key}
	c.care = upkeep.New(upkeep.Deps{Images: d.Images, Store: d.Store, Log: d.Log, Keep: d.Keep,
		Files: d.Sweep, Cache: d.Trim, Forget: c.forget})
	c.sources = scene.Sources{Store: d.Store, Release: c.ledger.Release, Replicas: d.Engine.Replicas,
		Router: c.desk.Status, Holdings: d.Engine.Holdings, Hooked: c.hooked}
	c.oneoffs = oneoff.New(oneoff.Deps{Engine: c.Engine, Sources: c.sources, Started: c.started,
		Lock: c.ledger.Lock, Changed: c.changed, Log: d.Log})
	c.stacks = run.New(c.runs())
	return c
}

// keep keeps the images of a deployment's new release.
func (c *rooms) keep(ctx context.Context, d rhumb.Deployment, r *rhumb.Release) {
	c.care.KeepImages(ctx, d.Stack, d.To, r.Images)
}

// forget drops what is cached of a stack's releases except these. Where none serves, the store has forgotten the stack.
func (c *rooms) forget(stack string, except ...int) {
	if !slices.ContainsFunc(except, func(n int) bool { return n != 0 }) {
		c.stacks.Forget(stack)
	}
	c.ledger.Forget(stack, except...)
}

// hooked reads when the post_start hooks of a stack's replicas had completed.
func (c *rooms) hooked(ctx context.Context, stack string) (map[string]time.Time, error) {
	return hooks.Completed(ctx, c.Store, c.Log, stack)
}

// changed has a stack's runner look, because a network or a volume may have changed.
func (c *rooms) changed(stack string) { c.stacks.Changed(rhumb.Change{Stack: stack}) }

// runs returns what the runners work with.
func (c *rooms) runs() run.Deps {
	performs := act.Deps{Engine: c.Engine, Desk: c.desk, Ledger: c.ledger, Store: c.Store, Oneoffs: c.oneoffs,
		Sources: c.sources, Announce: c.events.Announce, Starts: make(chan struct{}, maxStarts), Log: c.Log}
	if c.Deps.Certificates != nil {
		performs.KeepPair, performs.KeepFile = c.Deps.Certificates.KeepPair, c.Deps.Certificates.KeepFile
	}
	return run.Deps{Engine: c.Engine, Act: performs, Ledger: c.ledger, Oneoffs: c.oneoffs, Care: c.care,
		Sources: c.sources, Probes: make(chan struct{}, maxProbes), Started: c.started, Log: c.Log,
		Observe: c.Observe}
}

// missingService returns the error that a stack's current release has no such service.
func (c *rooms) missingService(ctx context.Context, stack, service string) error {
	_, m, err := c.currentModel(ctx, stack)
	if err != nil {
		return err
	}
	return release.NoService(m, service)
}

// currentModel returns the number and the model of the release that serves; NotFound if the stack isn't deployed.
func (c *rooms) currentModel(ctx context.Context, stack string) (int, *rhumb.Stack, error) {
	state, err := c.Store.StackState(ctx, stack)
	if err != nil {
		return 0, nil, err
	}
	if state.Current == 0 {
		return 0, nil, notDeployed(stack)
	}
	rel, err := c.ledger.Release(ctx, stack, state.Current)
	if err != nil {
		return 0, nil, err
	}
	return state.Current, &rel.Model, nil
}

func notDeployed(stack string) error {
	return rhumb.Errorf(rhumb.NotFound, "stack %s isn't deployed", stack).
		WithHint("rhumb stacks lists those that are; rhumb deploy brings one up")
}
