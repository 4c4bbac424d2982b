package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func (a *app) planCommand() *cobra.Command {
	cmd := a.command("plan [flags]", "Show what a deployment would do, step by step", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.prepare(ctx, false, true, func(c *client.Client, v view.Deployment, r rhumb.DeployRequest) error {
			plan, err := a.plan(ctx, c, v, r)
			if err == nil && a.detailed && !plan.Empty() {
				return &outcome{exit: exitChanges}
			}
			return err
		})
	})
	cmd.Long = "Show what a deployment would do, step by step, and change nothing.\n" +
		"Images with build: are built, to find out whether they changed. Images are not pulled.\n" +
		"With --detailed-exitcode it exits with 0 if nothing would change, with 2 if something would, and with 1 after any\n" +
		"mistake or error. Without it, a mistake in the command line or in a Compose file exits with 2."
	a.projectFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	cmd.Flags().BoolVar(&a.detailed, "detailed-exitcode", false, "exit with 0: no changes, 2: changes, 1: a mistake or an error")
	return cmd
}

// exitChanges is the exit status of plan --detailed-exitcode if something would change.
const exitChanges = 2

// plan prints what a request would do.
func (a *app) plan(ctx context.Context, c *client.Client, v view.Deployment, r rhumb.DeployRequest) (rhumb.Plan, error) {
	v.Close()
	plan, err := c.Plan(ctx, r)
	if err != nil {
		return plan, err
	}
	return plan, a.printPlan(plan)
}

func (a *app) printPlan(plan rhumb.Plan) error {
	if a.o.json() {
		return view.JSON(a.stdout, plan)
	}
	view.Plan(a.stdout, plan)
	return nil
}
