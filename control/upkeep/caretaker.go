// Package upkeep keeps a server from filling up. A Caretaker removes images, releases and files that nothing needs, and
// Disks reports whether there is enough space for something new.
package upkeep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"rhumb"
)

// Deps are the parts that a Caretaker uses.
type Deps struct {
	Images Images
	Store  Store
	Log    *slog.Logger
	Keep   int                                  // releases kept per stack, the current one included
	Files  func(context.Context) error          // removes mounted files that nothing uses; nil: nothing to do
	Cache  func(context.Context) (int64, error) // trims the build cache, returns the freed bytes; nil: nothing to do
	Forget func(stack string, except ...int)    // drops what is cached of a stack's releases except these
}

// Images marks images that releases need, and removes others. rhumb.Images describes the methods.
type Images interface {
	Keep(ctx context.Context, stack, service string, release int, id string) error
	Release(ctx context.Context, stack, service string, release int, remove bool) error
	Sweep(ctx context.Context, needed []string, unused time.Duration) (freed int64, err error)
}

// Store has the releases, which need images, and removes them.
type Store interface {
	Stacks(ctx context.Context) ([]rhumb.StackState, error)
	Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error)
	Deployment(ctx context.Context, stack string, id int64) (rhumb.Deployment, error)
	RemoveRelease(ctx context.Context, stack string, number int) error
	RemoveStack(ctx context.Context, stack string) error
}

// Caretaker removes what nothing needs any longer.
type Caretaker struct {
	Deps
	fetching sync.RWMutex  // held for reading from when images are resolved until their release is stored
	litter   chan struct{} // one place: a deployment has ended, and there may be images to prune
}

// New returns a Caretaker. It removes nothing until Run, Tidy or Sweep is called.
func New(d Deps) *Caretaker { return &Caretaker{Deps: d, litter: make(chan struct{}, 1)} }

// Fetching protects images from being removed until done is called. It is for images that no stored release has yet.
func (c *Caretaker) Fetching() (done func()) {
	c.fetching.RLock()
	return c.fetching.RUnlock
}

const (
	clearEvery   = time.Hour
	unneededFor  = time.Hour   // how long an image must have been unused; a new one may be about to be deployed
	clearTimeout = time.Minute // for pruning images once, during which deployments wait
)

// Run prunes images and trims the build cache once an hour, and prunes images after each deployment too, until ctx
// ends.
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
		if err := c.pruneImages(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("images not pruned", "err", err)
		}
	}
}

// trim trims the engine's build cache.
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

// pruneImages removes images that rhumb pulled or built and that no release needs, such as those of deployments that
// failed before their release was stored.
func (c *Caretaker) pruneImages(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	if !c.fetching.TryLock() { // a deployment needs images that its release doesn't protect yet
		return nil
	}
	defer c.fetching.Unlock()
	needed, err := c.neededImages(ctx)
	if err != nil {
		return err
	}
	freed, err := c.Images.Sweep(ctx, needed, unneededFor)
	if freed > 0 {
		c.Log.Info("images pruned", "bytes", freed)
	}
	return err
}

// neededImages returns the images of all kept releases.
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
