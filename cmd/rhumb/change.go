package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/view"
)

// changing makes a command that changes a stack and follows the deployment. ask fills in the request.
func (a *app) changing(use, short string, args cobra.PositionalArgs, ask func(r *rhumb.ChangeRequest, args []string) error) *cobra.Command {
	var opts following
	cmd := a.command(use, short, args, func(ctx context.Context, args []string) error {
		r := rhumb.ChangeRequest{By: who(), WaitLock: opts.waitLock}
		if err := ask(&r, args); err != nil {
			return err
		}
		return a.change(ctx, r, opts)
	})
	a.looking(cmd)
	opts.flags(cmd)
	return cmd
}

func (a *app) change(ctx context.Context, r rhumb.ChangeRequest, opts following) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := a.namedStack(ctx, c)
	if err != nil {
		return err
	}
	if err := a.sameProject(ctx, c, n, opts.yes || opts.dryRun); err != nil {
		return err
	}
	r.Stack = n.Stack
	if opts.dryRun {
		plan, err := c.PlanChange(ctx, r)
		if err != nil {
			return err
		}
		return a.printPlan(plan)
	}
	if r.Volumes && !opts.yes && !a.user().Sure(ctx, "remove "+r.Stack+" and its volumes with all their data?") {
		return rhumb.Errorf(rhumb.Cancelled, "nothing was changed")
	}
	st, err := c.Status(ctx, r.Stack)
	switch {
	case rhumb.ErrorCode(err) == rhumb.NotFound && r.Cause == rhumb.CauseDown:
		st = rhumb.StackInfo{Name: r.Stack} // it may still have volumes: only the server knows
	case err != nil:
		return err
	}
	v := view.New(a.o.json(), a.stdout, a.stderr, view.SubjectOfStatus(st, r))
	return a.begin(ctx, c, v, opts, r.Stack, func(ctx context.Context) (rhumb.Deployment, error) { return c.Change(ctx, r) })
}
