package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/view"
)

func (a *app) cancelCommand() *cobra.Command {
	var opts following
	cmd := a.command("cancel [flags]", "Roll back the open deployment", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		stack, err := a.stack(ctx, c)
		if err != nil {
			return err
		}
		d, err := c.Deployment(ctx, stack, 0)
		if err != nil {
			return err
		}
		if d.Phase.Ended() {
			return rhumb.Errorf(rhumb.NotFound, "%s has no open deployment", stack)
		}
		st, err := c.Status(ctx, stack)
		if err != nil {
			return err
		}
		if err := c.Cancel(ctx, stack, d.ID, who()); err != nil {
			return err
		}
		return cancelled(a.conclude(ctx, c, d, view.New(a.o.json(), a.stdout, a.stderr, view.SubjectOfStatus(st, rhumb.ChangeRequest{})), opts))
	})
	a.looking(cmd)
	opts.flags(cmd)
	return cmd
}

// cancelled turns a cancelled deployment into success: the user asked for it.
func cancelled(err error) error {
	if o := (*outcome)(nil); errors.As(err, &o) && o.exit == rhumb.ExitCancelled {
		return &outcome{words: o.words}
	}
	return err
}
