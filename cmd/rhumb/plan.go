package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/source"
	"rhumb/cmd/rhumb/view"
)

func (a *app) planCommand() *cobra.Command {
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
		if a.detailed && !plan.Empty() {
			return &outcome{exit: exitChanges}
		}
		return nil
	})
	cmd.Long = "Tell what a deploy would do, step by step, and change nothing.\n" +
		"Images with a build: are built, because only then it is known whether they changed; images are not pulled.\n" +
		"With --detailed-exitcode it exits with 0 when nothing would change, with 2 when something would, and with 1 for any\n" +
		"mistake or error, also one in the command line or in a Compose file, for which it otherwise exits with 2."
	a.projectFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	cmd.Flags().BoolVar(&a.detailed, "detailed-exitcode", false, "exit with 0: no changes, 2: changes, 1: a mistake or an error")
	return cmd
}

// exitChanges is the exit status of plan --detailed-exitcode when something would change.
const exitChanges = 2

func (a *app) printPlan(plan rhumb.Plan) error {
	if a.o.json() {
		return view.JSON(a.stdout, plan)
	}
	view.Plan(a.stdout, plan)
	return nil
}
