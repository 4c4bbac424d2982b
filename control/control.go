// Package control brings stacks to what is wanted and holds them there. It wires the rooms below it, and answers what
// people ask for: deploying, changing, looking, and running commands.
package control

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"rhumb"
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

	// Observe takes what each stack that isn't down asks of the process that observes it: soon after Hold begins, soon
	// after it changes, and often again. It must not block. nil: nothing observes
	Observe func(stack string, o rhumb.Observing)
}

// Control answers what people ask of a daemon, and holds its stacks. It does nothing before Hold.
type Control struct {
	*rooms
	deployer
	inspector
	operator
	values
}

// The parts of a Control, each for one kind of question.
type (
	deployer  struct{ *rooms } // deploys and changes stacks
	inspector struct{ *rooms } // says how things stand and what happened
	operator  struct{ *rooms } // runs commands
	values    struct{ *rooms } // keeps the values that external secrets and configs refer to
)

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
	if d.Observe == nil {
		d.Observe = func(string, rhumb.Observing) {}
	}
	if d.Keep == 0 {
		d.Keep = 10
	}
	if !d.Entry.IsValid() {
		d.Entry = netip.AddrPortFrom(netip.IPv6Unspecified(), 80)
	}
	c := newRooms(d)
	return &Control{c, deployer{c}, inspector{c}, operator{c}, values{c}}
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

// Announce stores an event that happened outside of the stacks' deployments, and passes it to those that follow events.
func (c *Control) Announce(ctx context.Context, e rhumb.Event) { c.events.Announce(ctx, e) }

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
