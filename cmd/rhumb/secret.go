package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func (a *app) secretCommand() *cobra.Command {
	cmd := a.command("secret COMMAND", "Keep values for external secrets and configs", cobra.NoArgs, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	create := a.command("create NAME FILE|-", "Keep a value, from a file or the standard input; one of that name is replaced", cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		content, err := a.user().Open(args[1])
		if err != nil {
			return err
		}
		defer content.Close()
		return a.with(func(c *client.Client) error { return c.SetValue(ctx, args[0], content) })
	})
	ls := a.command("ls [flags]", "List the names of the values that are kept", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			names, err := c.Values(ctx)
			if err != nil {
				return err
			}
			if a.o.json() {
				return view.JSON(a.stdout, view.List(names))
			}
			for _, n := range names {
				fmt.Fprintln(a.stdout, view.OneLine(n))
			}
			return nil
		})
	})
	a.formatFlag(ls)
	rm := a.command("rm NAME...", "Forget values", cobra.MinimumNArgs(1), func(ctx context.Context, args []string) error {
		return a.with(func(c *client.Client) error { return removeValues(ctx, c, args) })
	})
	for _, sub := range []*cobra.Command{create, ls, rm} {
		a.hostFlag(sub)
		cmd.AddCommand(sub)
	}
	return cmd
}

// removeValues forgets all that it can, and tells of each that it can't.
func removeValues(ctx context.Context, s rhumb.Values, names []string) error {
	var errs rhumb.Errors
	for _, name := range names {
		err := s.RemoveValue(ctx, name)
		var e *rhumb.Error
		if errors.As(err, &e) {
			errs = append(errs, e)
		} else if err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}
