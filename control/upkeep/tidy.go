package upkeep

import (
	"context"
	"time"

	"rhumb"
)

// KeepImages gives a new release's images names that protect them from pruning.
func (c *Caretaker) KeepImages(ctx context.Context, stack string, number int, images map[string]rhumb.Image) {
	for service, img := range images {
		if err := c.Images.Keep(ctx, stack, service, number, img.ID); err != nil {
			c.Log.Warn("image not kept", "stack", stack, "service", service, "image", img.ID, "err", err)
		}
	}
}

// Tidy removes what the end of a deployment has made superfluous: releases beyond the last few with their images, and
// all that rhumb knows of a stack that is down. What can't be removed now is found again after the next deployment,
// so it is logged and no more.
func (c *Caretaker) Tidy(ctx context.Context, d rhumb.Deployment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // half a tidying is worse than a slow end
	defer cancel()
	alone := c.fetching.TryLock() // else somebody is about to deploy images, and those must not be removed under their release
	if alone {
		defer c.fetching.Unlock()
	} else if d.To != 0 {
		return
	}
	if err := c.tidyStack(ctx, d, alone); err != nil {
		c.Log.Warn("not tidied", "stack", d.Stack, "err", err)
	}
	c.Sweep(ctx)
	select {
	case c.litter <- struct{}{}:
	default:
	}
}

// Sweep removes the contents of configs and secrets that no container mounts any more.
func (c *Caretaker) Sweep(ctx context.Context) {
	if c.Files == nil {
		return
	}
	if err := c.Files(ctx); err != nil && ctx.Err() == nil {
		c.Log.Warn("files not swept", "err", err)
	}
}

// tidyStack tidies after d, unless another deployment has begun since: the end of that one tidies after both. Without images those stay
// for the next clearing.
func (c *Caretaker) tidyStack(ctx context.Context, d rhumb.Deployment, images bool) error {
	last, err := c.Store.Deployment(ctx, d.Stack, 0)
	if err != nil || last.ID != d.ID {
		return err
	}
	releases, err := c.Store.Releases(ctx, d.Stack)
	if err != nil {
		return err
	}
	down := d.To == 0 && d.Phase == rhumb.PhaseConverged
	current := d.To
	if d.Phase == rhumb.PhaseRolledBack || d.Phase == rhumb.PhaseStuck {
		current = d.From
	}
	kept, gone := c.sort(releases, current, down)
	c.Forget(d.Stack, current)
	for _, r := range gone {
		c.releaseImages(ctx, r, kept, images)
	}
	for _, r := range gone {
		if err := c.Store.RemoveRelease(ctx, d.Stack, r.Number); err != nil {
			return err
		}
	}
	if down {
		return c.Store.RemoveStack(ctx, d.Stack)
	}
	return nil
}

// keepFailed is how many releases that never served are kept: enough to try by hand what failed last.
const keepFailed = 3

// sort parts releases (newest first) into those kept, with their images, and those to forget. Of the releases that
// served the last few are kept, and of those that never did.
func (c *Caretaker) sort(releases []rhumb.ReleaseInfo, current int, down bool) (kept, gone []rhumb.ReleaseInfo) {
	served, failed := 0, 0
	for _, r := range releases {
		keep := r.Number == current
		switch {
		case down:
			keep = false
		case r.Served || keep:
			keep = keep || served < c.Keep
			served++
		default:
			keep = failed < keepFailed
			failed++
		}
		if keep {
			kept = append(kept, r)
		} else {
			gone = append(gone, r)
		}
	}
	return kept, gone
}

// releaseImages lets a release's images go; with remove those that rhumb fetched and that no kept release uses are removed.
func (c *Caretaker) releaseImages(ctx context.Context, r rhumb.ReleaseInfo, kept []rhumb.ReleaseInfo, remove bool) {
	used := map[string]bool{}
	for _, k := range kept {
		for _, img := range k.Images {
			used[img.ID] = true
		}
	}
	for service, img := range r.Images {
		if err := c.Images.Release(ctx, r.Stack, service, r.Number, remove && img.Pulled && !used[img.ID]); err != nil {
			c.Log.Warn("image not released", "stack", r.Stack, "service", service, "release", r.Number, "err", err)
		}
	}
}
