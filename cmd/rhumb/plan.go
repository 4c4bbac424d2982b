package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/source"
	"rhumb/cmd/rhumb/view"
)

func (a *app) planCommand() *cobra.Command {
	var detailed bool
	cmd := a.command("plan [flags]", "Tell what a deploy would do, step by step", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		p, err := a.load(ctx)
		if err != nil {
			return err
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		if err := a.sameProject(ctx, c, p.Named, true); err != nil {
			return err
		}
		v := view.New(a.o.json(), a.stdout, a.stderr, view.SubjectOf(p.Stack))
		if len(p.Builds) == 0 {
			v = view.Silent{}
		}
		r, err := source.Request(ctx, c, p, v)
		v.Close()
		if err != nil {
			return err
		}
		plan, err := c.Plan(ctx, r)
		if err != nil {
			return err
		}
		if err := a.printPlan(plan); err != nil {
			return err
		}
		if detailed && !plan.Empty() {
			return &outcome{exit: 2}
		}
		return nil
	})
	cmd.Long = "Tell what a deploy would do, step by step, and change nothing.\n" +
		"Images with a build: are built, because only then it is known whether they changed; images are not pulled."
	a.projectFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when there are changes")
	return cmd
}

func (a *app) printPlan(plan rhumb.Plan) error {
	if a.o.json() {
		return view.JSON(a.stdout, plan)
	}
	view.Plan(a.stdout, plan)
	return nil
}
