package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/directory"
	"rhumb/control/release"
	"rhumb/control/upkeep"
	"rhumb/internal/failpoint"
	"rhumb/internal/pause"
	"rhumb/rollout"
	"rhumb/rollout/diff"
)

// Room tells whether there is room for something new: a deployment, a build. It is Unavailable once a file system
// that the engine's or the daemon's data lie on is too full. What serves, and what gives room back, must not ask.
func (c *Control) Room(ctx context.Context) error {
	disks := upkeep.Disks{Engine: c.Engine, Data: c.Data, Limit: c.DiskLimit, Look: c.Space, Takers: c.Usage, Log: c.Log}
	return disks.Room(ctx)
}

// Deploy resolves the model into a release and begins to roll it out.
func (c *Control) Deploy(ctx context.Context, r rhumb.DeployRequest, progress func(rhumb.Event)) (rhumb.Deployment, error) {
	r.By = rhumb.ActorOf(ctx).By(r.By)
	if err := release.Validate(r.Model); err != nil {
		return rhumb.Deployment{}, err
	}
	if err := c.Room(ctx); err != nil {
		return rhumb.Deployment{}, err
	}
	defer c.care.Fetching()()
	rel, err := c.maker.Make(ctx, r, false, progress)
	if err != nil {
		return rhumb.Deployment{}, err
	}
	if err := c.Room(ctx); err != nil { // the images may have taken the last of it
		return rhumb.Deployment{}, err
	}
	return c.begin(ctx, r.WaitLock, func() (*rhumb.Release, rhumb.Deployment, error) {
		state, err := c.Store.StackState(ctx, r.Model.Name)
		return rel, rhumb.Deployment{Stack: r.Model.Name, Cause: rhumb.CauseDeploy, By: r.By, From: state.Current}, err
	})
}

// Plan tells what Deploy would do. Images that aren't here yet count as changed.
func (c *Control) Plan(ctx context.Context, r rhumb.DeployRequest) (rhumb.Plan, error) {
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

// errMoved says that another release serves by now than the one that a deployment was to begin from.
var errMoved = errors.New("another release serves by now")

// begin stores the release (nil: the deployment goes to an older one, or to none) and opens the deployment, unless
// nothing would change. It waits for another deployment of the stack as long as wait. What it opens is made anew whenever the stack
// has changed meanwhile.
func (c *Control) begin(ctx context.Context, wait time.Duration, made func() (*rhumb.Release, rhumb.Deployment, error)) (rhumb.Deployment, error) {
	deadline := time.Now().Add(wait)
	for {
		rel, d, err := made()
		if err != nil {
			return d, err
		}
		if rel == nil && d.To != 0 && d.To == d.From {
			d.Phase = rhumb.PhaseConverged
			return d, nil
		}
		d, err = c.tryBegin(ctx, rel, d)
		switch {
		case ctx.Err() != nil:
			return d, err
		case err == errMoved:
		case rhumb.ErrorCode(err) == rhumb.Locked && time.Now().Before(deadline):
			pause.For(ctx, 200*time.Millisecond)
		default:
			return d, err
		}
	}
}

func (c *Control) tryBegin(ctx context.Context, rel *rhumb.Release, d rhumb.Deployment) (rhumb.Deployment, error) {
	r := c.runner(d.Stack)
	r.begin.Lock() // one daemon, one beginning at a time: what was compared is what is stored
	defer r.begin.Unlock()
	state, err := c.Store.StackState(ctx, d.Stack)
	if err != nil {
		return d, err
	}
	if d.From != state.Current {
		return d, errMoved
	}
	d.Phase, d.Started = rhumb.PhaseRolling, time.Now()
	if rel != nil && state.Open == 0 {
		same, err := c.unchanged(ctx, rel, state)
		if err != nil {
			return d, err
		}
		if same {
			d.To, d.Phase = state.Current, rhumb.PhaseConverged
			return d, nil
		}
		if err := c.desk.Check(ctx, &rel.Model); err != nil {
			return d, err
		}
	}
	failpoint.Here("before the beginning")
	from := d.From
	d.Before = c.tally(ctx, d.Stack)
	d, err = c.Store.Begin(ctx, rel, d)
	if rhumb.ErrorCode(err) == rhumb.Conflict {
		if now, err := c.Store.StackState(ctx, r.stack); err == nil && now.Current != from {
			return d, errMoved // another deployment has ended since
		}
	}
	if err != nil {
		return d, err
	}
	failpoint.Here("after the beginning")
	if rel != nil {
		c.care.KeepImages(ctx, d.Stack, d.To, rel.Images)
	}
	c.tellBegun(ctx, d)
	r.Wake()
	return d, nil
}

func (c *Control) tellBegun(ctx context.Context, d rhumb.Deployment) {
	c.events.Announce(ctx, rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Release: d.To, Phase: d.Phase, By: d.By,
		Text: fmt.Sprintf("%s: %s to %s", d.Cause, orNothing(d.From), orNothing(d.To))})
}

func orNothing(release int) string {
	if release == 0 {
		return "nothing"
	}
	return fmt.Sprintf("release %d", release)
}

// unchanged tells whether the stack serves just this model, and got there in full.
func (c *Control) unchanged(ctx context.Context, rel *rhumb.Release, state rhumb.StackState) (bool, error) {
	if state.Current == 0 {
		return false, nil
	}
	cur, err := c.release(ctx, state.Name, state.Current)
	if err != nil {
		return false, err
	}
	last, err := c.Store.Deployment(ctx, state.Name, 0)
	if err != nil && rhumb.ErrorCode(err) != rhumb.NotFound {
		return false, err
	}
	switch last.Phase {
	case rhumb.PhasePaused, rhumb.PhaseIncomplete, rhumb.PhaseStuck:
		return false, nil
	}
	return len(diff.Stacks(&cur.Model, &rel.Model)) == 0, nil
}

// plan tells what the deployment d to the model (nil: nothing) would do.
func (c *Control) plan(ctx context.Context, model *rhumb.Stack, d rhumb.Deployment) (rhumb.Plan, error) {
	state, err := c.Store.StackState(ctx, d.Stack)
	if err != nil {
		return rhumb.Plan{}, err
	}
	p := rhumb.Plan{Stack: d.Stack, From: state.Current, To: d.To}
	var from *rhumb.Stack
	if state.Current != 0 {
		rel, err := c.release(ctx, d.Stack, state.Current)
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
	o, seen, err := c.runner(d.Stack).see(ctx)
	if err != nil {
		return p, err
	}
	segments, notes := directory.Foretell(model, from, o.Replicas, seen.held, seen.router)
	o.Segments, p.Notes = segments, slices.Concat(p.Notes, notes, release.GapNotes(model))
	w := rollout.Wanted{Stack: d.Stack, Release: p.To, Model: model, Previous: from, Mode: rollout.Deploy,
		RunJobs: d.Cause == rhumb.CauseDeploy, Volumes: d.Volumes}
	if len(p.Changes) > 0 {
		p.Steps = rollout.Plan(w, o, time.Now())
	}
	return p, nil
}
