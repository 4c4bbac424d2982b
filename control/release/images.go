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

// maxPulls is how many images are looked up or pulled at a time.
const maxPulls = 3

// resolveImages finds the images of all containers, by the name of the service or hook.
func (d *draft) resolveImages(ctx context.Context) error {
	var mu sync.Mutex
	report := func(service string, p rhumb.ImageProgress) {
		if d.progress == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		d.progress(rhumb.Event{Kind: rhumb.EventPull, At: time.Now(), Stack: d.model.Name, Service: service,
			Text: p.Ref, Done: p.Done, Total: p.Total})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxPulls)
	for _, x := range allImaged(d.model) {
		g.Go(func() error {
			img, err := d.resolveImage(ctx, x, func(p rhumb.ImageProgress) { report(x.name, p) })
			if err != nil {
				return fmt.Errorf("service %s: %w", x.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			d.images[x.name] = img
			return nil
		})
	}
	return g.Wait()
}

func (d *draft) resolveImage(ctx context.Context, x imaged, progress func(rhumb.ImageProgress)) (rhumb.Image, error) {
	ref := x.container.Image
	req := rhumb.ImageRequest{Ref: ref, Platform: x.container.Platform, Policy: x.pull, Auth: d.request.Auth}
	if d.look || x.built {
		req.Policy = rhumb.PullNever
	}
	img, err := d.Images.Resolve(ctx, req, progress)
	if d.look && rhumb.ErrorCode(err) == rhumb.NotFound {
		img, err = rhumb.Image{Ref: ref, ID: "not here yet: " + ref}, nil
	}
	img.Pulled = img.Pulled || x.built // rhumb also removes what it built
	return img, err
}

// applyImages fills in what the images say.
func (d *draft) applyImages(context.Context) error {
	for i := range d.model.Services {
		s := &d.model.Services[i]
		applyImage(s, d.images[s.Name])
		applyMounts(s.Name, &s.Container, d.images)
		for j := range s.PreStart {
			h := &s.PreStart[j]
			name := rhumb.HookService(s.Name, h.Number)
			h.Container.ImageID = d.images[name].ID
			applyMounts(name, &h.Container, d.images)
		}
	}
	return nil
}

// applyMounts fills in the IDs of the images that a container mounts.
func applyMounts(name string, c *rhumb.Container, images map[string]rhumb.Image) {
	for i := range c.Mounts {
		if m := &c.Mounts[i]; m.Type == rhumb.MountImage {
			m.ImageID = images[mountedAs(name, m)].ID
		}
	}
}

// applyImage fills in an image's ID and health check, and makes the service stop-first if the image declares a volume.
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
		return // the user or the model has decided
	}
	for _, v := range img.Volumes {
		if !slices.ContainsFunc(c.Mounts, func(m rhumb.Mount) bool { return m.Target == v }) && !s.Job {
			s.Order, s.OrderWhy = rhumb.StopFirst, "its image declares the volume "+v
			return
		}
	}
}
