package control

import (
	"context"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/directory"
	"rhumb/control/ledger"
	"rhumb/control/release"
	"rhumb/control/scene"
	"rhumb/control/upkeep"
	"rhumb/rollout"
	"rhumb/rollout/diff"
)

// Room returns an Unavailable error if there is no room for anything new, such as a deployment or a build: a file
// system that holds the engine's or the daemon's data is too full. What serves and what frees room must not ask.
func (c deployer) Room(ctx context.Context) error {
	disks := upkeep.Disks{Engine: c.Engine, Data: c.Data, Limit: c.DiskLimit, Look: c.Space, Takers: c.Usage,
		Log: c.Log}
	return disks.Room(ctx)
}

// Deploy makes a release of the model and begins to roll it out.
func (c deployer) Deploy(
	ctx context.Context, r rhumb.DeployRequest, progress func(rhumb.Event),
) (rhumb.Deployment, error) {
	r.By = rhumb.ActorOf(ctx).By(r.By)
	if err := release.Validate(r.Model); err != nil {
		return rhumb.Deployment{}, err
	}
	if err := c.Room(ctx); err != nil {
		return rhumb.Deployment{}, err
	}
	defer c.care.Fetching()() // until the release is stored, nothing but this keeps its images
	rel, err := c.maker.Make(ctx, r, false, progress)
	if err != nil {
		return rhumb.Deployment{}, err
	}
	if err := c.Room(ctx); err != nil { // the images may have taken the last of it
		return rhumb.Deployment{}, err
	}
	stack := r.Model.Name
	propose := func(_ context.Context, now rhumb.StackState) (ledger.Proposal, error) {
		d := rhumb.Deployment{Stack: stack, Cause: rhumb.CauseDeploy, By: r.By, Request: r.ID, From: now.Current}
		return ledger.Proposal{Release: rel, Deployment: d}, nil
	}
	return c.ledger.Begin(ctx, stack, r.WaitLock, propose)
}

// Plan returns what Deploy would do. Images that haven't been pulled count as changed.
func (c deployer) Plan(ctx context.Context, r rhumb.DeployRequest) (rhumb.Plan, error) {
	if err := release.Validate(r.Model); err != nil {
		return rhumb.Plan{}, err
	}
	rel, err := c.maker.Make(ctx, r, true, nil)
	if err != nil {
		return rhumb.Plan{}, err
	}
	if err := c.desk.Check(ctx, &rel.Model); err != nil {
		return rhumb.Plan{}, err
	}
	return c.plan(ctx, &rel.Model, rhumb.Deployment{Stack: r.Model.Name, Cause: rhumb.CauseDeploy})
}

// plan returns what a deployment to the model (nil: nothing) would do.
func (c deployer) plan(ctx context.Context, model *rhumb.Stack, d rhumb.Deployment) (rhumb.Plan, error) {
	state, err := c.Store.StackState(ctx, d.Stack)
	if err != nil {
		return rhumb.Plan{}, err
	}
	p := rhumb.Plan{Stack: d.Stack, From: state.Current, To: d.To}
	var from *rhumb.Stack
	if state.Current != 0 {
		rel, err := c.ledger.Release(ctx, d.Stack, state.Current)
		if err != nil {
			return p, err
		}
		from = &rel.Model
	}
	if model != nil {
		p.Notes = model.Notes
		if p.To == 0 {
			p.To = state.Last + 1
		}
	}
	p.Changes = diff.Stacks(from, model)
	s := &scene.Scene{Wanted: rollout.Wanted{Stack: d.Stack, Release: p.To, Model: model, Previous: from,
		Mode: rollout.Deploy, RunJobs: d.Cause == rhumb.CauseDeploy, Volumes: d.Volumes}}
	if err := c.sources.Look(ctx, s); err != nil {
		return p, err
	}
	segments, notes := directory.Foretell(model, from, s.Observed.Replicas, s.Held, s.Router)
	s.Observed.Segments = segments
	p.Notes = slices.Concat(p.Notes, notes, release.GapNotes(model), release.AddressNotes(model),
		release.WAFNotes(model))
	if len(p.Changes) > 0 {
		p.Steps = rollout.Plan(s.Wanted, s.Observed, time.Now())
	}
	return p, nil
}
