// Package upkeep keeps a server from filling up: it gives room back, and tells whether there is room for something new.
package upkeep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"rhumb"
)

// Deps is what a Caretaker works with.
type Deps struct {
	Images Images
	Store  Store
	Log    *slog.Logger
	Keep   int                                  // releases kept per stack, the current one included
	Files  func(context.Context) error          // removes mounted files that nothing uses; nil: nothing to do
	Cache  func(context.Context) (int64, error) // cuts the engine's build cache back, and gives the bytes; nil: nothing to do
	Forget func(stack string, except ...int)    // hears which releases of a stack are still looked at
}

// Images keeps images, and lets them go.
type Images interface {
	Keep(ctx context.Context, stack, service string, release int, id string) error
	Release(ctx context.Context, stack, service string, release int, remove bool) error
	Sweep(ctx context.Context, needed []string, unused time.Duration) (freed int64, err error)
}

// Store says what is needed, and forgets what isn't.
type Store interface {
	Stacks(ctx context.Context) ([]rhumb.StackState, error)
	Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error)
	Deployment(ctx context.Context, stack string, id int64) (rhumb.Deployment, error)
	RemoveRelease(ctx context.Context, stack string, number int) error
	RemoveStack(ctx context.Context, stack string) error
}

// Caretaker removes what nothing needs any more.
type Caretaker struct {
	Deps
	fetching sync.RWMutex  // read-held from resolving images until their release is stored
	litter   chan struct{} // one place: a deployment has ended, and there may be images to clear away
}

// New makes a Caretaker. It removes images only while Run runs, or when it is told of a deployment's end.
func New(d Deps) *Caretaker { return &Caretaker{Deps: d, litter: make(chan struct{}, 1)} }

// Fetching keeps images that no release has yet from being removed, until done is called.
func (c *Caretaker) Fetching() (done func()) {
	c.fetching.RLock()
	return c.fetching.RUnlock
}

const (
	clearEvery   = time.Hour
	unneededFor  = time.Hour   // how long an image must have had no use: one that was just built is about to be deployed
	clearTimeout = time.Minute // for one clearing, which keeps deployments waiting
)

// Run gives room back until ctx ends: once an hour, and images after each deployment too.
func (c *Caretaker) Run(ctx context.Context) error {
	t := time.NewTicker(clearEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			c.trim(ctx)
		case <-c.litter:
		}
		if err := c.clearImages(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("images not cleared", "err", err)
		}
	}
}

// trim cuts the engine's build cache back.
func (c *Caretaker) trim(ctx context.Context) {
	if c.Cache == nil {
		return
	}
	freed, err := c.Cache(ctx)
	if err != nil && ctx.Err() == nil {
		c.Log.Warn("build cache not trimmed", "err", err)
	}
	if freed > 0 {
		c.Log.Info("build cache trimmed", "bytes", freed)
	}
}

// clearImages removes the images that rhumb fetched and that no release needs any more, such as those of deployments
// that never became one.
func (c *Caretaker) clearImages(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	if !c.fetching.TryLock() { // an image that is being resolved must not be removed under its release
		return nil
	}
	defer c.fetching.Unlock()
	needed, err := c.neededImages(ctx)
	if err != nil {
		return err
	}
	freed, err := c.Images.Sweep(ctx, needed, unneededFor)
	if freed > 0 {
		c.Log.Info("images cleared", "bytes", freed)
	}
	return err
}

// neededImages lists the images of all releases that are kept.
func (c *Caretaker) neededImages(ctx context.Context) ([]string, error) {
	stacks, err := c.Store.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range stacks {
		releases, err := c.Store.Releases(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		for _, r := range releases {
			for _, img := range r.Images {
				ids = append(ids, img.ID)
			}
		}
	}
	return ids, nil
}
