package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rhumb"
	"rhumb/control/ledger"
	"rhumb/control/release"
)

// Change scales, restarts, rolls back or takes down a stack.
func (c deployer) Change(ctx context.Context, r rhumb.ChangeRequest) (rhumb.Deployment, error) {
	r.By = rhumb.ActorOf(ctx).By(r.By)
	propose := func(ctx context.Context, now rhumb.StackState) (ledger.Proposal, error) {
		return c.proposal(ctx, r, now)
	}
	return c.ledger.Begin(ctx, r.Stack, r.WaitLock, propose)
}

// PlanChange returns what Change would do.
func (c deployer) PlanChange(ctx context.Context, r rhumb.ChangeRequest) (rhumb.Plan, error) {
	state, err := c.Store.StackState(ctx, r.Stack)
	if err != nil {
		return rhumb.Plan{}, err
	}
	p, err := c.proposal(ctx, r, state)
	if err != nil {
		return rhumb.Plan{}, err
	}
	rel := p.Release
	if rel == nil && p.Deployment.To == 0 {
		return c.plan(ctx, nil, p.Deployment)
	}
	if rel == nil {
		if rel, err = c.ledger.Release(ctx, r.Stack, p.Deployment.To); err != nil {
			return rhumb.Plan{}, err
		}
	}
	return c.plan(ctx, &rel.Model, p.Deployment)
}

// proposal returns the deployment that a change asks for. Scaling and restarting make a release of the one that serves.
func (c deployer) proposal(
	ctx context.Context, r rhumb.ChangeRequest, state rhumb.StackState,
) (p ledger.Proposal, err error) {
	d := &p.Deployment
	*d = rhumb.Deployment{Stack: r.Stack, Cause: r.Cause, By: r.By, Request: r.ID, Volumes: r.Volumes,
		From: state.Current}
	if r.Cause == rhumb.CauseDown {
		return p, c.present(ctx, state)
	}
	if state.Current == 0 {
		return p, notDeployed(r.Stack)
	}
	if r.Cause == rhumb.CauseRollback {
		if d.To, err = c.rollbackTarget(ctx, state, r.Release); err != nil {
			return p, err
		}
		return p, c.checkReturn(ctx, *d)
	}
	cur, err := c.ledger.Release(ctx, r.Stack, state.Current)
	if err != nil {
		return p, err
	}
	p.Release, err = release.Change(cur, r)
	return p, err
}

// present returns a NotFound error if there is nothing of the stack that could be taken down.
func (c deployer) present(ctx context.Context, s rhumb.StackState) error {
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

// rollbackTarget returns the number of the release to go back to: the requested one, or for 0 the last release that
// served before the current one.
func (c deployer) rollbackTarget(ctx context.Context, s rhumb.StackState, want int) (int, error) {
	releases, err := c.Store.Releases(ctx, s.Name)
	if err != nil {
		return 0, err
	}
	var served []string
	for _, r := range releases { // newest first
		if !r.Served {
			if r.Number == want {
				return 0, rhumb.Errorf(rhumb.Invalid, "%s@%d never served", s.Name, want).
					WithHint("rhumb releases -p %[1]s shows which did; "+
						"rhumb run -p %[1]s --release %[2]d SERVICE runs it by hand", s.Name, want)
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
	return 0, rhumb.Errorf(rhumb.NotFound, "release %d of %s isn't kept", want, s.Name).
		WithHint("kept are %s", strings.Join(served, ", "))
}

// checkReturn refuses a rollback to networks and volumes that can't be used any more. Those that the current release
// uses too are not checked.
func (c deployer) checkReturn(ctx context.Context, d rhumb.Deployment) error {
	from, err := c.ledger.Release(ctx, d.Stack, d.From)
	if err != nil {
		return err
	}
	to, err := c.ledger.Release(ctx, d.Stack, d.To)
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

// Cancel rolls back an open deployment. It returns Conflict if the deployment has ended.
func (c deployer) Cancel(ctx context.Context, stack string, id int64, by string) error {
	return c.ledger.Cancel(ctx, stack, id, rhumb.ActorOf(ctx).By(by))
}
