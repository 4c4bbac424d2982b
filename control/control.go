// Package control brings stacks to what is wanted and holds them there. One runner per stack looks at the engine
// and the proxy, lets rollout decide, and performs the steps; it remembers nothing that it can't look up again.
package control

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rhumb"
	"rhumb/control/events"
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
	Engine  engine // that of Deps, with all capabilities
	events  *events.Bus
	desk    *routing.Desk
	maker   *release.Maker
	care    *upkeep.Caretaker
	starts  chan struct{} // a token per replica that is being started
	probes  chan struct{} // a token per health check that runs
	started time.Time

	mu      sync.Mutex
	runners map[string]*runner
	spawn   func(*runner) // set while Hold runs
	models  map[modelKey]*rhumb.Release
}

type modelKey struct {
	stack  string
	number int
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
		Engine:  engine{d.Engine},
		events:  events.New(d.Store, d.Log),
		desk:    routing.NewDesk(d.Router, d.Entry, d.HTTPS, d.ACME),
		starts:  make(chan struct{}, maxStarts),
		probes:  make(chan struct{}, maxProbes),
		started: time.Now(),
		runners: map[string]*runner{},
		models:  map[modelKey]*rhumb.Release{},
	}
	c.maker = &release.Maker{Engine: d.Engine, Images: d.Images, Store: d.Store, Ports: c.desk, Current: c.current, Key: d.Key}
	c.care = upkeep.New(upkeep.Deps{Images: d.Images, Store: d.Store, Log: d.Log, Keep: d.Keep, Files: d.Sweep, Cache: d.Trim, Forget: c.forget})
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
	c.mu.Lock()
	c.spawn = func(r *runner) { g.Go(func() error { return r.Run(ctx) }) }
	for _, r := range c.runners { // those asked for before Hold
		c.spawn(r)
	}
	c.mu.Unlock()
	for _, s := range stacks {
		c.runner(s.Name)
	}
	g.Go(func() error { return c.watch(ctx) })
	g.Go(func() error { c.care.Sweep(ctx); return nil }) // what a daemon that died has left
	g.Go(func() error { return c.care.Run(ctx) })
	err = g.Wait()
	c.mu.Lock()
	c.spawn = nil
	c.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// runner gives the stack's runner, and starts one if there is none.
func (c *Control) runner(stack string) *runner {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.runners[stack]
	if r == nil {
		r = newRunner(c, stack)
		c.runners[stack] = r
		if c.spawn != nil {
			c.spawn(r)
		}
	}
	return r
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
		c.wakeAll() // what happened while nobody watched
		for ch := range changes {
			c.heard(ch)
		}
		pause.For(ctx, 100*time.Millisecond)
	}
	return nil
}

// heard has the runners look that a change is about. One that isn't about a replica may be about a network or a volume.
func (c *Control) heard(ch rhumb.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for stack, r := range c.runners {
		if ch.Stack != "" && ch.Stack != stack {
			continue
		}
		if ch.Replica == "" {
			r.held.forget()
		}
		r.Nudge()
	}
}

func (c *Control) wakeAll() { c.heard(rhumb.Change{}) }

// release gives a release with its model, from memory once it has been read: releases are immutable.
func (c *Control) release(ctx context.Context, stack string, number int) (*rhumb.Release, error) {
	key := modelKey{stack, number}
	c.mu.Lock()
	r := c.models[key]
	c.mu.Unlock()
	if r != nil {
		return r, nil
	}
	got, err := c.Store.Release(ctx, stack, number)
	if err != nil {
		return nil, err
	}
	got.Specs = got.Model.Specs() // as this daemon labels replicas, not as the one that made it
	c.mu.Lock()
	c.models[key] = &got
	c.mu.Unlock()
	return &got, nil
}

// current gives the release that serves; nil: none does.
func (c *Control) current(ctx context.Context, stack string) (*rhumb.Release, error) {
	state, err := c.Store.StackState(ctx, stack)
	if err != nil || state.Current == 0 {
		return nil, err
	}
	return c.release(ctx, stack, state.Current)
}

// forget drops the stack's models from memory, except the given releases.
func (c *Control) forget(stack string, except ...int) {
	c.mu.Lock()
	r := c.runners[stack]
	c.mu.Unlock()
	if r != nil && !slices.ContainsFunc(except, func(n int) bool { return n != 0 }) { // nothing of it serves
		r.book.Forget()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.models {
		if key.stack != stack {
			continue
		}
		keep := false
		for _, n := range except {
			keep = keep || key.number == n
		}
		if !keep {
			delete(c.models, key)
		}
	}
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
