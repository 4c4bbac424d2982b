// Package control brings stacks to what is wanted and holds them there. It wires the rooms below it, and answers what
// people ask for: deploying, changing, looking, and running commands.
package control

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

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
	"rhumb/internal/disk"
	"rhumb/internal/pause"
)

// Deps is what a Control works with. Engine, Images, Store and Router must be set.
type Deps struct {
	Engine rhumb.Engine
	Images rhumb.Images
	Store  rhumb.Store
	Router rhumb.Router
	Log    *slog.Logger // nil: silent

	Entry   netip.AddrPort  // where HTTP routes by host and path are served; the zero value: [::]:80
	HTTPS   netip.AddrPort  // where they are served over TLS; the zero value: nowhere
	ACME    rhumb.Authority // issues public certificates; the zero value: none
	Keep    int             // releases kept per stack, the current one included; 0: ten
	Version string          // for Info
	Data    string          // for Info
	// of the hashes of configs, secrets and project files, which others can see
	Key          []byte
	Certificates rhumb.CertificateStore      // nil: there are neither given certificates nor an internal authority
	Sweep        func(context.Context) error // removes mounted files that nothing uses; nil: nothing to do

	// prunes the engine's build cache, and returns the freed bytes; nil: nothing to do
	Trim func(context.Context) (int64, error)

	// how full, in percent, a disk may be for anything new to begin; 0: 90; 100: no limit
	DiskLimit int
	Space     func(path string) (disk.Usage, error) // nil: disk.Look
	Usage     func(context.Context) (string, error) // what takes the engine's space, in words; nil: unknown
}

// Control is the deployer, inspector and operator of a daemon. It does nothing before Hold.
type Control struct {
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

// How many replicas are started, and how many health checks run, at a time on one node. More is slower: four starts
// saturate two cores.
const (
	maxStarts = 4
	maxProbes = 4
)

// defaultDiskLimit is the percentage at which a file system is too full for anything new.
const defaultDiskLimit = 90

// New returns a Control.
func New(d Deps) *Control {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.DiskLimit == 0 {
		d.DiskLimit = defaultDiskLimit
	}
	if d.Keep == 0 {
		d.Keep = 10
	}
	if !d.Entry.IsValid() {
		d.Entry = netip.AddrPortFrom(netip.IPv6Unspecified(), 80)
	}
	c := &Control{
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
func (c *Control) keep(ctx context.Context, d rhumb.Deployment, r *rhumb.Release) {
	c.care.KeepImages(ctx, d.Stack, d.To, r.Images)
}

// forget drops what is cached of a stack's releases except these. Where none serves, the store has forgotten the stack.
func (c *Control) forget(stack string, except ...int) {
	if !slices.ContainsFunc(except, func(n int) bool { return n != 0 }) {
		c.stacks.Forget(stack)
	}
	c.ledger.Forget(stack, except...)
}

// hooked reads when the post_start hooks of a stack's replicas had completed.
func (c *Control) hooked(ctx context.Context, stack string) (map[string]time.Time, error) {
	return hooks.Completed(ctx, c.Store, c.Log, stack)
}

// changed has a stack's runner look, because a network or a volume may have changed.
func (c *Control) changed(stack string) { c.stacks.Changed(rhumb.Change{Stack: stack}) }

// runs returns what the runners work with.
func (c *Control) runs() run.Deps {
	performs := act.Deps{Engine: c.Engine, Desk: c.desk, Ledger: c.ledger, Store: c.Store, Oneoffs: c.oneoffs,
		Sources: c.sources, Announce: c.events.Announce, Starts: make(chan struct{}, maxStarts), Log: c.Log}
	if c.Deps.Certificates != nil {
		performs.KeepPair = c.Deps.Certificates.KeepPair
	}
	return run.Deps{Engine: c.Engine, Act: performs, Ledger: c.ledger, Oneoffs: c.oneoffs, Care: c.care,
		Sources: c.sources, Probes: make(chan struct{}, maxProbes), Started: c.started, Log: c.Log}
}

// Hold holds all stacks until ctx ends, and returns after everything that it started has ended. Deployments that are
// cut off continue when Hold runs again.
func (c *Control) Hold(ctx context.Context) error {
	stacks, err := c.Store.Stacks(ctx)
	if err != nil {
		return err
	}
	for _, s := range stacks {
		c.stacks.For(s.Name)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { c.stacks.Run(ctx); return nil })
	g.Go(func() error { c.watch(ctx); return nil })
	g.Go(func() error { c.care.Sweep(ctx); return nil }) // an earlier daemon may have died before it did
	g.Go(func() error { return c.care.Run(ctx) })
	err = g.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// watch has the runners look whose replicas the engine says may have changed. It watches again when the engine's stream
// ends.
func (c *Control) watch(ctx context.Context) {
	for ctx.Err() == nil {
		changes, err := c.Engine.Watch(ctx)
		if err != nil {
			c.Log.Warn("engine not watched", "err", err)
			pause.For(ctx, time.Second)
			continue
		}
		c.stacks.Changed(rhumb.Change{}) // whatever happened before the watch began
		for ch := range changes {
			c.stacks.Changed(ch)
		}
		pause.For(ctx, 100*time.Millisecond)
	}
}
