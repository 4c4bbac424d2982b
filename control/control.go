// Package control brings stacks to what is wanted and holds them there. One runner per stack looks at the engine
// and the proxy, lets rollout decide, and performs the steps; it remembers nothing that it can't look up again.
package control

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"rhumb"
	"rhumb/control/events"
	"rhumb/control/ledger"
	"rhumb/control/release"
	"rhumb/control/routing"
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

	Entry        netip.AddrPort              // where HTTP routes by host and path are served; the zero value: [::]:80
	HTTPS        netip.AddrPort              // where they are served over TLS; the zero value: nowhere
	ACME         rhumb.Authority             // where public certificates come from; the zero value: nowhere
	Keep         int                         // releases kept per stack, the current one included; 0: ten
	Version      string                      // for Info
	Data         string                      // for Info
	Key          []byte                      // of the hashes of configs, secrets and project files, which others see
	Certificates rhumb.CertificateStore      // nil: there are neither given certificates nor an internal authority
	Sweep        func(context.Context) error // removes mounted files that nothing uses; nil: nothing to do

	Trim func(context.Context) (int64, error) // cuts the engine's build cache back, and gives the bytes; nil: nothing to do

	DiskLimit int                                   // how full, in percent, a disk may be for anything new to begin; 0: 90; 100: as full as can be
	Space     func(path string) (disk.Usage, error) // nil: disk.Look
	Usage     func(context.Context) (string, error) // what takes the engine's room, in words; nil: unknown
}

// Control is the deployer, inspector and operator of a daemon. It does nothing before Hold.
type Control struct {
	Deps
	events  *events.Bus
	desk    *routing.Desk
	maker   *release.Maker
	care    *upkeep.Caretaker
	starts  chan struct{} // a token per replica that is being started
	probes  chan struct{} // a token per health check that runs
	started time.Time

	stacks *supervisor
	ledger *ledger.Ledger
	loans  loans
}

// How many replicas are started, and how many health checks run, at a time on one node: more is slower (2 cores
// saturate at four starts).
const (
	maxStarts = 4
	maxProbes = 4
)

// lookEvery is how often a stack is looked at when nothing is heard of it: events can be lost.
const lookEvery = 10 * time.Second

// New makes a Control.
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
		events:  events.New(d.Store, d.Log),
		desk:    routing.NewDesk(d.Router, d.Entry, d.HTTPS, d.ACME),
		starts:  make(chan struct{}, maxStarts),
		probes:  make(chan struct{}, maxProbes),
		started: time.Now(),
	}
	c.ledger = ledger.New(ledger.Deps{
		Store: d.Store, Check: c.desk.Check, Router: c.desk.Status, Announce: c.events.Tell,
		Keep: func(ctx context.Context, d rhumb.Deployment, r *rhumb.Release) {
			c.care.KeepImages(ctx, d.Stack, d.To, r.Images)
		},
		Begun:   func(stack string) { c.stacks.For(stack) },
		Changed: func(stack string) { c.stacks.Wake(stack) },
	})
	c.maker = &release.Maker{Engine: d.Engine, Images: d.Images, Store: d.Store, Ports: c.desk, Current: c.ledger.Current, Key: d.Key}
	c.stacks = newSupervisor(func(stack string) *runner { return newRunner(c, stack) })
	c.care = upkeep.New(upkeep.Deps{Images: d.Images, Store: d.Store, Log: d.Log, Keep: d.Keep, Files: d.Sweep, Cache: d.Trim, Forget: c.ledger.Forget})
	return c
}

// Hold holds all stacks until ctx ends, and returns once everything it started has ended. Deployments that are cut
// off by its end go on when it runs again.
func (c *Control) Hold(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	stacks, err := c.Store.Stacks(ctx)
	if err != nil {
		return err
	}
	for _, s := range stacks {
		c.stacks.For(s.Name)
	}
	g.Go(func() error { c.stacks.Run(ctx); return nil })
	g.Go(func() error { return c.watch(ctx) })
	g.Go(func() error { c.care.Sweep(ctx); return nil }) // what a daemon that died has left
	g.Go(func() error { return c.care.Run(ctx) })
	err = g.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// watch wakes the runners whose replicas may have changed, for as long as the engine tells.
func (c *Control) watch(ctx context.Context) error {
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
	return nil
}

// earliest gives the first of the times that aren't zero.
func earliest(ts ...time.Time) time.Time {
	var first time.Time
	for _, t := range ts {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// defaultDiskLimit is the percentage at which a file system is too full for anything new.
const defaultDiskLimit = 90
