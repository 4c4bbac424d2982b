package change

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func cancelCommand(a *cli.App) *cobra.Command {
	var opts following
	cmd := a.Query("cancel [flags]", "Roll back the open deployment", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error { return cancel(ctx, a, c, opts) })
	a.Looking(cmd)
	opts.followFlags(cmd)
	return cmd
}

// cancel cancels the open deployment of a stack and follows it to its end.
func cancel(ctx context.Context, a *cli.App, s rhumb.Server, opts following) error {
	stack, err := a.Stack(ctx, s)
	if err != nil {
		return err
	}
	d, err := s.Deployment(ctx, stack, 0)
	if err != nil {
		return err
	}
	if d.Phase.Ended() {
		return rhumb.Errorf(rhumb.NotFound, "%s has no open deployment", stack)
	}
	st, err := s.Status(ctx, stack)
	if err != nil {
		return err
	}
	if err := s.Cancel(ctx, stack, d.ID, terminal.UserAtHost()); err != nil {
		return err
	}
	v := view.New(a.JSON(), a.Stdout, a.Stderr, view.SubjectOfStatus(st, rhumb.ChangeRequest{}))
	return cancelled(conclude(ctx, a, s, d, v, opts))
}

// cancelled turns a cancelled deployment into success: the user asked for it.
func cancelled(err error) error {
	if o := (*cli.Outcome)(nil); errors.As(err, &o) && o.Exit == rhumb.ExitCancelled {
		return &cli.Outcome{Words: o.Words}
	}
	return err
}
