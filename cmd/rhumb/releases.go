package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func (a *app) releasesCommand() *cobra.Command {
	list := a.listReleases
	cmd := a.command("releases [flags]", "List a stack's releases", cobra.NoArgs, list)
	a.looking(cmd)
	ls := a.command("ls [flags]", "List a stack's releases", cobra.NoArgs, list)
	diff := a.command("diff A B [flags]", "Show how release B differs from release A", cobra.ExactArgs(2), a.diffReleases)
	cmd.AddCommand(a.looking(ls), a.completeReleases(a.looking(diff)))
	return cmd
}

func (a *app) listReleases(ctx context.Context, _ []string) error {
	return a.with(func(c *client.Client) error {
		name, err := a.stack(ctx, c)
		if err != nil {
			return err
		}
		rs, err := c.Releases(ctx, name)
		if err != nil {
			return err
		}
		if a.o.json() {
			return view.JSON(a.stdout, view.List(rs))
		}
		view.Releases(a.stdout, rs)
		return nil
	})
}

func (a *app) diffReleases(ctx context.Context, args []string) error {
	from, err := releaseNumber(args[0])
	if err != nil {
		return err
	}
	to, err := releaseNumber(args[1])
	if err != nil {
		return err
	}
	return a.with(func(c *client.Client) error {
		name, err := a.stack(ctx, c)
		if err != nil {
			return err
		}
		ds, err := c.Diff(ctx, name, from, to)
		if err != nil {
			return err
		}
		if a.o.json() {
			return view.JSON(a.stdout, view.List(ds))
		}
		if len(ds) == 0 {
			fmt.Fprintf(a.stdout, "%s@%d and %s@%d are the same\n", name, from, name, to)
		}
		view.Changes(a.stdout, ds)
		return nil
	})
}
