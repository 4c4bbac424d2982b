package release

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rhumb"
)

func (k *Maker) resolveImages(ctx context.Context, model *rhumb.Stack, r rhumb.DeployRequest, look bool, progress func(rhumb.Event)) (map[string]rhumb.Image, error) {
	if progress == nil {
		progress = func(rhumb.Event) {}
	}
	images := map[string]rhumb.Image{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxPulls)
	for _, s := range allImaged(model) {
		g.Go(func() error {
			req := rhumb.ImageRequest{Ref: s.container.Image, Platform: s.container.Platform, Policy: s.pull, Auth: r.Auth}
			if look || s.built {
				req.Policy = rhumb.PullNever
			}
			img, err := k.Images.Resolve(ctx, req, func(p rhumb.ImageProgress) {
				mu.Lock()
				defer mu.Unlock()
				progress(rhumb.Event{Kind: rhumb.EventPull, At: time.Now(), Stack: model.Name, Service: s.name, Text: p.Ref, Done: p.Done, Total: p.Total})
			})
			if look && rhumb.ErrorCode(err) == rhumb.NotFound {
				img, err = rhumb.Image{Ref: s.container.Image, ID: "not here yet: " + s.container.Image}, nil
			}
			if err != nil {
				return fmt.Errorf("service %s: %w", s.name, err)
			}
			img.Pulled = img.Pulled || s.built // built is ours too
			mu.Lock()
			defer mu.Unlock()
			images[s.name] = img
			return nil
		})
	}
	return images, g.Wait()
}

// applyMounts fills in the IDs of the images that a container mounts.
func applyMounts(name string, c *rhumb.Container, images map[string]rhumb.Image) {
	for i := range c.Mounts {
		if m := &c.Mounts[i]; m.Type == rhumb.MountImage {
			m.ImageID = images[mountedAs(name, m)].ID
		}
	}
}

// applyImage fills in what the image says: its ID, its health check, and that its volumes want stop-first.
func applyImage(s *rhumb.Service, img rhumb.Image) {
	c := &s.Container
	c.ImageID = img.ID
	if img.Health != nil {
		if c.Health == nil {
			c.Health = img.Health
		} else if len(c.Health.Test) == 0 {
			c.Health.Test = img.Health.Test
		}
	}
	if s.Order == rhumb.StopFirst || s.OrderWhy != "" {
		return // said by the user, or decided by the model already
	}
	for _, v := range img.Volumes {
		if !slices.ContainsFunc(c.Mounts, func(m rhumb.Mount) bool { return m.Target == v }) && !s.Job {
			s.Order, s.OrderWhy = rhumb.StopFirst, "its image declares the volume "+v
			return
		}
	}
}
