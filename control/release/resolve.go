package release

import (
	"context"
	"slices"
	"time"

	"rhumb"
)

const (
	readyTimeout = 60 * time.Second // until a replica must be ready, where nothing else is said
	readyWindow  = 5 * time.Second  // how long a replica without any check must run to count as ready
	maxPulls     = 3                // images looked up or pulled at a time
)

// Make makes the release that a deployment asks for. It finds the images, and fills in all that depends on them or on the server: IDs, readiness, order, chosen
// ports, external values, what services take over from one another. With look, images are looked up and not pulled.
func (k *Maker) Make(ctx context.Context, r rhumb.DeployRequest, look bool, progress func(rhumb.Event)) (*rhumb.Release, error) {
	model := copyModel(r.Model)
	inheritImages(&model)
	if err := k.checkExternal(ctx, &model); err != nil {
		return nil, err
	}
	images, err := k.resolveImages(ctx, &model, r, look, progress)
	if err != nil {
		return nil, err
	}
	for i := range model.Services {
		s := &model.Services[i]
		applyImage(s, images[s.Name])
		for j := range s.PreStart {
			h := &s.PreStart[j]
			h.Container.ImageID = images[rhumb.HookService(s.Name, h.Number)].ID
		}
		applyStrategy(s, r.Strategy)
		if err := routePorts(s, images[s.Name]); err != nil {
			return nil, err
		}
		chooseReady(s)
		if err := k.choosePorts(ctx, model.Name, s); err != nil {
			return nil, err
		}
	}
	if err := k.inherit(ctx, &model, images); err != nil {
		return nil, err
	}
	if err := linkServices(&model); err != nil {
		return nil, err
	}
	rel := newRelease(model, images)
	rel.By, rel.Cause, rel.Note, rel.Git, rel.Origin = r.By, rhumb.CauseDeploy, r.Note, r.Git, r.Origin
	return rel, nil
}

// inherit takes over from the current release what the user's files can't say: that a service was restarted by hand
// (it stays as it is if nothing else changed), and that an image found here was once pulled by rhumb.
func (k *Maker) inherit(ctx context.Context, model *rhumb.Stack, images map[string]rhumb.Image) error {
	cur, err := k.Current(ctx, model.Name)
	if err != nil || cur == nil {
		return err
	}
	for i := range model.Services {
		s := &model.Services[i]
		if old := cur.Model.Service(s.Name); old != nil {
			was, is := old.Container, s.Container
			was.RestartOn, is.RestartOn = nil, nil
			is.RestartedAt = was.RestartedAt
			if was.Hash() == is.Hash() {
				s.Container.RestartedAt = was.RestartedAt
			}
		}
		img := images[s.Name]
		for _, old := range cur.Images {
			img.Pulled = img.Pulled || old.Pulled && old.ID == img.ID
		}
		images[s.Name] = img
	}
	return nil
}

func applyStrategy(s *rhumb.Service, st rhumb.Strategy) {
	switch st {
	case rhumb.StrategyRecreate:
		s.Order, s.OrderWhy, s.Update.Parallelism = rhumb.StopFirst, "strategy recreate", 0
	case rhumb.StrategyRolling, "":
	}
}

// copyModel copies what Make writes to.
func copyModel(m rhumb.Stack) rhumb.Stack {
	m.Files = slices.Clone(m.Files)
	m.Services = slices.Clone(m.Services)
	for i := range m.Services {
		s := &m.Services[i]
		s.Ports = slices.Clone(s.Ports)
		s.Routes = slices.Clone(s.Routes)
		s.Container.Mounts = slices.Clone(s.Container.Mounts)
		s.Container.RestartOn = nil
		if s.Container.Health != nil {
			h := *s.Container.Health
			s.Container.Health = &h
		}
	}
	return m
}
