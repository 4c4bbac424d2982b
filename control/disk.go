package control

import (
	"context"
	"time"

	"rhumb"
)

const (
	clearEvery   = time.Hour
	unneededFor  = time.Hour   // how long an image must have had no use: one that was just built is about to be deployed
	clearTimeout = time.Minute // for one clearing, which keeps deployments waiting
)

// clear gives room back until ctx ends: once an hour, and images after each deployment too.
func (c *Control) clear(ctx context.Context) error {
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
func (c *Control) trim(ctx context.Context) {
	if c.Trim == nil {
		return
	}
	freed, err := c.Trim(ctx)
	if err != nil && ctx.Err() == nil {
		c.Log.Warn("build cache not trimmed", "err", err)
	}
	if freed > 0 {
		c.Log.Info("build cache trimmed", "bytes", freed)
	}
}

// clearImages removes the images that rhumb fetched and that no release needs any more, such as those of deployments
// that never became one.
func (c *Control) clearImages(ctx context.Context) error {
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

// neededImages lists the images of all releases that a rollback may return to or that something goes on with.
func (c *Control) neededImages(ctx context.Context) ([]string, error) {
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
		last, err := c.Store.Deployment(ctx, s.Name, 0)
		if err != nil && rhumb.ErrorCode(err) != rhumb.NotFound {
			return nil, err
		}
		for _, r := range releases {
			if !r.Served && r.Number != s.Current && (r.Number != last.To || last.Phase == rhumb.PhaseRolledBack) {
				continue // it never served, and stays in the history only
			}
			for _, img := range r.Images {
				ids = append(ids, img.ID)
			}
		}
	}
	return ids, nil
}
