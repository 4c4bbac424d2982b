package release

import (
	"context"
	"slices"

	"rhumb"
)

const (
	maxPulls = 3 // images looked up or pulled at a time
)

// Make makes the release that a deployment asks for. It finds the images, and fills in all that depends on them or on the server: IDs, readiness, order, chosen
// ports, external values, what services take over from one another. With look, images are looked up and not pulled, and
// chosen ports are not kept.
func (k *Maker) Make(ctx context.Context, r rhumb.DeployRequest, look bool, progress func(rhumb.Event)) (*rhumb.Release, error) {
	model := copyModel(r.Model)
	info, err := k.Engine.Info(ctx)
	if err != nil {
		return nil, err
	}
	if unmet := info.Unmet(&model); len(unmet) > 0 {
		return nil, unmet
	}
	cur, err := k.Current(ctx, model.Name)
	if err != nil {
		return nil, err
	}
	old := modelOf(cur)
	inheritImages(&model)
	missing, err := k.fillValues(ctx, &model)
	if err != nil {
		return nil, err
	}
	if err := together(missing, k.settleHoldings(ctx, &model, old)); err != nil {
		return nil, err
	}
	images, err := k.resolveImages(ctx, &model, r, look, progress)
	if err != nil {
		return nil, err
	}
	for i := range model.Services {
		s := &model.Services[i]
		applyImage(s, images[s.Name])
		applyMounts(s.Name, &s.Container, images)
		for j := range s.PreStart {
			h := &s.PreStart[j]
			name := rhumb.HookService(s.Name, h.Number)
			h.Container.ImageID = images[name].ID
			applyMounts(name, &h.Container, images)
		}
		applyStrategy(s, r.Strategy)
		if err := routePorts(s, images[s.Name]); err != nil {
			return nil, err
		}
		chooseReady(s, images[s.Name])
		s.Hold = s.HoldOrUsual()
	}
	if err := k.choosePorts(ctx, &model, old, look); err != nil {
		return nil, err
	}
	inherit(cur, &model, images)
	if err := linkServices(&model); err != nil {
		return nil, err
	}
	rel := newRelease(model, images)
	rel.By, rel.Cause, rel.Note, rel.Git, rel.Origin = r.By, rhumb.CauseDeploy, r.Note, r.Git, r.Origin
	return rel, nil
}

// modelOf returns a release's model; nil: there is no release.
func modelOf(r *rhumb.Release) *rhumb.Stack {
	if r == nil {
		return nil
	}
	return &r.Model
}

// inherit takes over from the current release what the user's files can't say: that a service was restarted by hand
// (it stays as it is if nothing else changed), and that an image found here was once pulled by rhumb.
func inherit(cur *rhumb.Release, model *rhumb.Stack, images map[string]rhumb.Image) {
	if cur == nil {
		return
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
		s.PreStart = slices.Clone(s.PreStart)
		for j := range s.PreStart {
			s.PreStart[j].Container.Mounts = slices.Clone(s.PreStart[j].Container.Mounts)
		}
		s.Container.RestartOn = nil
		if s.Container.Health != nil {
			h := *s.Container.Health
			s.Container.Health = &h
		}
	}
	return m
}
