package upkeep

import (
	"context"
	"time"

	"rhumb"
)

// KeepImages marks the images of a new release, which protects them from pruning. Failures are logged.
func (c *Caretaker) KeepImages(ctx context.Context, stack string, number int, images map[string]rhumb.Image) {
	for service, img := range images {
		if err := c.Images.Keep(ctx, stack, service, number, img.ID); err != nil {
			c.Log.Warn("image not kept", "stack", stack, "service", service, "image", img.ID, "err", err)
		}
	}
}

// Tidy removes what nothing needs after the end of a deployment: old releases with their images, and everything about a
// stack that is down. A failure is only logged, because the next Tidy finds the rest.
func (c *Caretaker) Tidy(ctx context.Context, d rhumb.Deployment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // finish even if the daemon ends
	defer cancel()
	alone := c.fetching.TryLock() // otherwise a deployment needs images that its release doesn't protect yet
	if alone {
		defer c.fetching.Unlock()
	} else if d.To != 0 {
		return
	}
	if err := c.tidyStack(ctx, d, alone); err != nil {
		c.Log.Warn("stack not tidied", "stack", d.Stack, "err", err)
	}
	c.Sweep(ctx)
	select {
	case c.litter <- struct{}{}:
	default:
	}
}

// Sweep removes the contents of configs and secrets that no container mounts. Failures are logged.
func (c *Caretaker) Sweep(ctx context.Context) {
	if c.Files == nil {
		return
	}
	if err := c.Files(ctx); err != nil && ctx.Err() == nil {
		c.Log.Warn("mounted files not pruned", "err", err)
	}
}

// tidyStack tidies after d, unless another deployment has begun since: then the end of that one tidies after both. With
// images, it also removes images; otherwise they stay until the next pruning.
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

// keepFailed is how many releases that never served are kept, so that users can run by hand what failed.
const keepFailed = 3

// sort divides releases (newest first) into those to keep and those to remove. It keeps the newest of the releases that
// have served, and the newest of those that never did.
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

// releaseImages removes a release's marks from its images. With remove, it also removes the images that rhumb pulled or
// built and that no kept release uses.
func (c *Caretaker) releaseImages(ctx context.Context, r rhumb.ReleaseInfo, kept []rhumb.ReleaseInfo, remove bool) {
	used := map[string]bool{}
	for _, k := range kept {
		for _, img := range k.Images {
			used[img.ID] = true
		}
	}
	for service, img := range r.Images {
		unused := img.Pulled && !used[img.ID]
		if err := c.Images.Release(ctx, r.Stack, service, r.Number, remove && unused); err != nil {
			c.Log.Warn("image not released", "stack", r.Stack, "service", service, "release", r.Number, "err", err)
		}
	}
}
