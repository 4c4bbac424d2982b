package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rhumb"
	"rhumb/control/release"
	"rhumb/internal/failpoint"
)

// Change scales, restarts, rolls back or takes down a stack.
func (c *Control) Change(ctx context.Context, r rhumb.ChangeRequest) (rhumb.Deployment, error) {
	r.By = rhumb.ActorOf(ctx).By(r.By)
	return c.begin(ctx, r.WaitLock, func() (*rhumb.Release, rhumb.Deployment, error) { return c.changed(ctx, r) })
}

// PlanChange tells what Change would do.
func (c *Control) PlanChange(ctx context.Context, r rhumb.ChangeRequest) (rhumb.Plan, error) {
	rel, d, err := c.changed(ctx, r)
	if err != nil {
		return rhumb.Plan{}, err
	}
	switch {
	case rel != nil:
		return c.plan(ctx, &rel.Model, d)
	case d.To == 0:
		return c.plan(ctx, nil, d)
	}
	old, err := c.release(ctx, r.Stack, d.To)
	if err != nil {
		return rhumb.Plan{}, err
	}
	return c.plan(ctx, &old.Model, d)
}

// changed gives the new release that a change makes (nil if it makes none) and the deployment that it wants.
func (c *Control) changed(ctx context.Context, r rhumb.ChangeRequest) (*rhumb.Release, rhumb.Deployment, error) {
	d := rhumb.Deployment{Stack: r.Stack, Cause: r.Cause, By: r.By, Volumes: r.Volumes}
	state, err := c.Store.StackState(ctx, r.Stack)
	if err != nil {
		return nil, d, err
	}
	d.From = state.Current
	if r.Cause == rhumb.CauseDown {
		return nil, d, c.present(ctx, state)
	}
	if state.Current == 0 {
		return nil, d, notDeployed(r.Stack)
	}
	if r.Cause == rhumb.CauseRollback {
		if d.To, err = c.rollbackTarget(ctx, state, r.Release); err != nil {
			return nil, d, err
		}
		return nil, d, c.checkReturn(ctx, d)
	}
	cur, err := c.release(ctx, r.Stack, state.Current)
	if err != nil {
		return nil, d, err
	}
	rel, err := release.Change(cur, r)
	return rel, d, err
}

// present tells whether there is anything of the stack that could be taken down.
func (c *Control) present(ctx context.Context, s rhumb.StackState) error {
	if s.Current != 0 || s.Open != 0 {
		return nil
	}
	held, err := c.Engine.Holdings(ctx, s.Name)
	if err != nil {
		return err
	}
	replicas, err := c.Engine.Replicas(ctx, s.Name)
	if err != nil {
		return err
	}
	if len(held.Networks)+len(held.Volumes)+len(replicas) == 0 {
		return notDeployed(s.Name)
	}
	return nil
}

func notDeployed(stack string) error {
	return rhumb.Errorf(rhumb.NotFound, "stack %s isn't deployed", stack).WithHint("rhumb stacks lists those that are; rhumb deploy brings one up")
}

// rollbackTarget finds the release to go back to: the one asked for, or the last that served before the current one.
func (c *Control) rollbackTarget(ctx context.Context, s rhumb.StackState, want int) (int, error) {
	releases, err := c.Store.Releases(ctx, s.Name)
	if err != nil {
		return 0, err
	}
	var served []string
	for _, r := range releases { // newest first
		if !r.Served {
			if r.Number == want {
				return 0, rhumb.Errorf(rhumb.Invalid, "%s@%d never served", s.Name, want).
					WithHint("rhumb releases -p %[1]s shows which did; rhumb run -p %[1]s --release %[2]d SERVICE runs it by hand", s.Name, want)
			}
			continue
		}
		if r.Number == want || want == 0 && r.Number < s.Current {
			return r.Number, nil
		}
		served = append(served, fmt.Sprint(r.Number))
	}
	if want == 0 {
		return 0, rhumb.Errorf(rhumb.NotFound, "no release of %s before %d is kept that served", s.Name, s.Current).
			WithHint("rhumb releases -p %s lists those that are kept", s.Name)
	}
	return 0, rhumb.Errorf(rhumb.NotFound, "release %d of %s isn't kept", want, s.Name).WithHint("kept are %s", strings.Join(served, ", "))
}

// checkReturn refuses a rollback to networks and volumes that can't be had any more. What the release that serves has, too,
// is no obstacle, however it is.
func (c *Control) checkReturn(ctx context.Context, d rhumb.Deployment) error {
	from, err := c.release(ctx, d.Stack, d.From)
	if err != nil {
		return err
	}
	to, err := c.release(ctx, d.Stack, d.To)
	if err != nil {
		return err
	}
	m := to.Model
	m.Networks = slices.DeleteFunc(slices.Clone(m.Networks), func(n rhumb.Network) bool {
		was := from.Model.Network(n.Key)
		return was != nil && was.Definition() == n.Definition()
	})
	m.Volumes = slices.DeleteFunc(slices.Clone(m.Volumes), func(v rhumb.Volume) bool {
		was := from.Model.Volume(v.Key)
		return was != nil && was.Name == v.Name && len(v.Differs(was.Driver, was.DriverOpts)) == 0
	})
	return c.maker.CheckHoldings(ctx, &m, &from.Model)
}

// Cancel has an open deployment put back.
func (c *Control) Cancel(ctx context.Context, stack string, id int64, by string) error {
	by = rhumb.ActorOf(ctx).By(by)
	_, err := c.update(ctx, stack, id, func(d *rhumb.Deployment) error {
		if d.Phase.Ended() {
			return rhumb.Errorf(rhumb.Conflict, "deployment %d of %s has ended: %s", d.ID, stack, d.Phase)
		}
		if d.Phase == rhumb.PhaseRollingBack {
			return nil // it is on its way, for a reason that stays true
		}
		d.Cancel = true
		if by != "" {
			d.Why = "cancelled by " + by
		}
		return nil
	})
	return err
}

// update changes a stored deployment, again if somebody else was quicker, and wakes the stack's runner.
func (c *Control) update(ctx context.Context, stack string, id int64, change func(*rhumb.Deployment) error) (rhumb.Deployment, error) {
	for {
		d, err := c.Store.Deployment(ctx, stack, id)
		if err != nil {
			return d, err
		}
		if err := change(&d); err != nil {
			return d, err
		}
		failpoint.Here("before a note")
		saved, err := c.Store.Save(ctx, d)
		failpoint.Here("after a note")
		if rhumb.ErrorCode(err) == rhumb.Conflict && ctx.Err() == nil {
			continue
		}
		if err == nil {
			c.runner(stack).Wake()
		}
		return saved, err
	}
}

// Deployment gives one; the stack's last if id is 0.
func (c *Control) Deployment(ctx context.Context, stack string, id int64) (rhumb.Deployment, error) {
	return c.Store.Deployment(ctx, stack, id)
}

// Deployments lists a stack's, newest first, at most limit (0: all).
func (c *Control) Deployments(ctx context.Context, stack string, limit int) ([]rhumb.Deployment, error) {
	return c.Store.Deployments(ctx, stack, limit)
}
