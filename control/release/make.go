package release

import (
	"context"
	"slices"

	"rhumb"
)

// draft is a release while Make makes it.
type draft struct {
	*Maker
	request  rhumb.DeployRequest
	look     bool
	progress func(rhumb.Event)

	current *rhumb.Release // the one that serves; nil: none does
	model   *rhumb.Stack   // a copy of the request's
	missing rhumb.Errors   // values that the server doesn't have
	images  map[string]rhumb.Image
}

// Make makes the release that a deployment asks for: it finds the images and settles everything that depends on them or
// on the server. It does not modify the request's model. With look, images are looked up but not pulled, and chosen
// ports are not kept. progress may be nil. A model that can't become a release here is Invalid, a model that clashes
// with something on the server is Conflict.
func (k *Maker) Make(
	ctx context.Context, r rhumb.DeployRequest, look bool, progress func(rhumb.Event),
) (*rhumb.Release, error) {
	cur, err := k.Current(ctx, r.Model.Name)
	if err != nil {
		return nil, err
	}
	model := copyModel(r.Model)
	d := draft{
		Maker: k, request: r, look: look, progress: progress,
		current: cur, model: &model, images: map[string]rhumb.Image{},
	}
	for _, step := range d.steps() {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	rel := newRelease(model, d.images)
	rel.By, rel.Cause, rel.Note, rel.Git, rel.Origin = r.By, rhumb.CauseDeploy, r.Note, r.Git, r.Origin
	return rel, nil
}

// steps returns what settles the draft, in order: each step relies on the ones before it.
func (d *draft) steps() []func(context.Context) error {
	return []func(context.Context) error{
		d.inheritImages,  // hooks without an image get their service's: from here on each container has one
		d.fillFiles,      // contents and their hashes, which mounts carry; settleHoldings reports missing values
		d.checkEngine,    // refuses what the engine is too old for, before anything is pulled
		d.settleHoldings, // names of networks; refuses before anything is pulled
		d.resolveImages,  // pulls, which can take minutes
		d.applyImages,    // what images say: their IDs, health checks, and volumes that make a service stop-first
		d.applyStrategy,  // kept as asked for; the hold depends on it
		d.routePorts,     // ports of routes, which only the image may name
		d.chooseReady,    // depends on the image's health check and on ports of routes
		d.chooseHold,     // depends on the order of the change
		d.choosePorts,    // kept in the store, so after all that can fail
		d.inherit,        // compares containers with the current release's: they lack nothing but their links
		d.link,           // last: it hashes containers
	}
}

// checkEngine returns what the model needs that the engine can't do.
func (d *draft) checkEngine(ctx context.Context) error {
	info, err := d.Engine.Info(ctx)
	if err != nil {
		return err
	}
	if unmet := info.Unmet(d.model); len(unmet) > 0 {
		return unmet
	}
	return nil
}

// old returns the model of the release that serves; nil: none does.
func (d *draft) old() *rhumb.Stack {
	if d.current == nil {
		return nil
	}
	return &d.current.Model
}

// applyStrategy records the request's strategy, if it names one, in all services.
func (d *draft) applyStrategy(context.Context) error {
	for i := range d.model.Services {
		if d.request.Strategy != "" {
			d.model.Services[i].Strategy = d.request.Strategy
		}
	}
	return nil
}

func (d *draft) chooseHold(context.Context) error {
	for i := range d.model.Services {
		s := &d.model.Services[i]
		s.Hold = s.Applied().HoldOrUsual()
	}
	return nil
}

// inherit takes over from the current release what the user's files can't say: that a service was restarted by hand
// (its replicas stay if nothing else has changed), and that an image found here was once pulled by rhumb.
func (d *draft) inherit(context.Context) error {
	if d.current == nil {
		return nil
	}
	for i := range d.model.Services {
		s := &d.model.Services[i]
		if old := d.current.Model.Service(s.Name); old != nil {
			was, is := old.Container, s.Container
			was.RestartOn, is.RestartOn = nil, nil
			is.RestartedAt = was.RestartedAt
			if was.Hash() == is.Hash() {
				s.Container.RestartedAt = was.RestartedAt
			}
		}
		img := d.images[s.Name]
		for _, old := range d.current.Images {
			img.Pulled = img.Pulled || old.Pulled && old.ID == img.ID
		}
		d.images[s.Name] = img
	}
	return nil
}

func (d *draft) link(context.Context) error { return linkServices(d.model) }

// copyModel copies a model as far as Make and Change modify it. A test compares the models that they read before and
// after.
func copyModel(m rhumb.Stack) rhumb.Stack {
	m.Files = slices.Clone(m.Files)
	m.Networks = slices.Clone(m.Networks)
	m.Volumes = slices.Clone(m.Volumes)
	m.Notes = slices.Clone(m.Notes)
	m.Services = slices.Clone(m.Services)
	for i := range m.Services {
		s := &m.Services[i]
		s.Ports = slices.Clone(s.Ports)
		s.Routes = slices.Clone(s.Routes)
		for j := range s.Routes {
			s.Routes[j].Options = s.Routes[j].Options.Clone()
		}
		s.HTTP = s.HTTP.Clone()
		s.PreStart = slices.Clone(s.PreStart)
		copyContainer(&s.Container)
		for j := range s.PreStart {
			copyContainer(&s.PreStart[j].Container)
		}
	}
	return m
}

func copyContainer(c *rhumb.Container) {
	c.Mounts = slices.Clone(c.Mounts)
	c.Networks = slices.Clone(c.Networks)
	if c.Health != nil {
		h := *c.Health
		c.Health = &h
	}
}
