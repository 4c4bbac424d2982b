package look

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func releasesCommand(a *cli.App) *cobra.Command {
	const short = "List a stack's releases"
	list := func(ctx context.Context, c *client.Client, _ []string) error { return listReleases(ctx, a, c) }
	cmd := a.Query("releases [flags]", short, cobra.NoArgs, list)
	a.Looking(cmd)
	ls := a.Query("ls [flags]", short, cobra.NoArgs, list)
	diff := a.Query("diff A B [flags]", "Show how release B differs from release A", cobra.ExactArgs(2),
		func(ctx context.Context, c *client.Client, args []string) error {
			return diffReleases(ctx, a, c, args[0], args[1])
		})
	cmd.AddCommand(a.Looking(ls), a.CompleteReleases(a.Looking(diff)))
	return cmd
}

func listReleases(ctx context.Context, a *cli.App, c *client.Client) error {
	name, err := a.Stack(ctx, c)
	if err != nil {
		return err
	}
	rs, err := c.Releases(ctx, name)
	if err != nil {
		return err
	}
	if a.JSON() {
		return view.JSON(a.Stdout, view.List(rs))
	}
	view.Releases(a.Stdout, rs)
	return nil
}

func diffReleases(ctx context.Context, a *cli.App, c *client.Client, older, newer string) error {
	from, err := cli.ReleaseNumber(older)
	if err != nil {
		return err
	}
	to, err := cli.ReleaseNumber(newer)
	if err != nil {
		return err
	}
	name, err := a.Stack(ctx, c)
	if err != nil {
		return err
	}
	ds, err := c.Diff(ctx, name, from, to)
	if err != nil {
		return err
	}
	if a.JSON() {
		return view.JSON(a.Stdout, view.List(ds))
	}
	if len(ds) == 0 {
		fmt.Fprintf(a.Stdout, "%s@%d and %s@%d are the same\n", name, from, name, to)
	}
	view.Changes(a.Stdout, ds)
	return nil
}
