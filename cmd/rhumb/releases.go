package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/httpapi/client"
)

func (a *app) releasesCommand() *cobra.Command {
	list := a.listReleases
	cmd := a.command("releases [flags]", "List a stack's releases", cobra.NoArgs, list)
	a.looking(cmd)
	ls := a.command("ls [flags]", "List a stack's releases", cobra.NoArgs, list)
	diff := a.command("diff A B [flags]", "Tell how release B differs from release A", cobra.ExactArgs(2), a.diffReleases)
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
			return printJSON(a.stdout, list(rs))
		}
		t := newTable(a.paint(a.stdout), "RELEASE", "STATE", "CAUSE", "WHEN", "BY", "GIT", "NOTE")
		for _, r := range rs {
			row := plain(fmt.Sprintf("%s@%d", r.Stack, r.Number), releaseState(r), string(r.Cause), ago(r.At), r.By, short(r.Git), r.Note)
			if r.Current {
				row[0].code, row[1].code = "32", "32"
			}
			t.add(row...)
		}
		t.print(a.stdout)
		return nil
	})
}

func releaseState(r rhumb.ReleaseInfo) string {
	switch {
	case r.Current:
		return "serves"
	case r.Served:
		return "served"
	}
	return "never served"
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
			return printJSON(a.stdout, list(ds))
		}
		if len(ds) == 0 {
			fmt.Fprintf(a.stdout, "%s@%d and %s@%d are the same\n", name, from, name, to)
		}
		a.printChanges(a.paint(a.stdout), ds)
		return nil
	})
}

// short gives a revision as people read it: "1f3c9a2-dirty".
func short(g rhumb.Git) string {
	s := g.Commit[:min(len(g.Commit), 7)]
	if g.Dirty {
		s += "-dirty"
	}
	return s
}
