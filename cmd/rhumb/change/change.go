package change

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// changing makes a command that changes a stack and follows the deployment. ask fills in the request.
func changing(a *cli.App, use, short string, args cobra.PositionalArgs,
	ask func(r *rhumb.ChangeRequest, args []string) error) *cobra.Command {
	var opts following
	cmd := a.Command(use, short, args, func(ctx context.Context, args []string) error {
		r := rhumb.ChangeRequest{By: terminal.UserAtHost(), WaitLock: opts.waitLock}
		if err := ask(&r, args); err != nil {
			return err
		}
		return a.With(func(c *client.Client) error { return change(ctx, a, c, r, opts) })
	})
	a.Looking(cmd)
	opts.flags(cmd)
	return cmd
}

// change requests a change of the stack that the command is about, and follows the deployment.
func change(ctx context.Context, a *cli.App, s rhumb.Server, r rhumb.ChangeRequest, opts following) error {
	n, err := a.NamedStack(ctx, s)
	if err != nil {
		return err
	}
	if err := sameProject(ctx, a, s, n, opts.yes || opts.dryRun); err != nil {
		return err
	}
	r.Stack = n.Stack
	if opts.dryRun {
		plan, err := s.PlanChange(ctx, r)
		if err != nil {
			return err
		}
		return printPlan(a, plan)
	}
	if r.Volumes && !opts.yes && !a.User().Sure(ctx, "remove "+r.Stack+" and its volumes with all their data?") {
		return rhumb.Errorf(rhumb.Cancelled, "nothing was changed")
	}
	st, err := s.Status(ctx, r.Stack)
	switch {
	case rhumb.ErrorCode(err) == rhumb.NotFound && r.Cause == rhumb.CauseDown:
		st = rhumb.StackInfo{Name: r.Stack} // it may still have volumes: only the server knows
	case err != nil:
		return err
	}
	v := view.New(a.JSON(), a.Stdout, a.Stderr, view.SubjectOfStatus(st, r))
	return begin(ctx, a, s, v, opts, r.Stack,
		func(ctx context.Context, request string) (rhumb.Deployment, error) {
			r.ID = request
			return s.Change(ctx, r)
		})
}
