package change

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func planCommand(a *cli.App) *cobra.Command {
	cmd := a.Command("plan [flags]", "Show what a deployment would do, step by step", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return prepare(ctx, a, false, true, func(c *client.Client, v view.Deployment, r rhumb.DeployRequest) error {
				plan, err := planRequest(ctx, a, c, v, r)
				if err == nil && a.Detailed && !plan.Empty() {
					return &cli.Outcome{Exit: exitChanges}
				}
				return err
			})
		})
	cmd.Long = "Show what a deployment would do, step by step, and change nothing. Images with build: are built,\n" +
		"to find out whether they changed. Images are not pulled. With --detailed-exitcode it exits with 0\n" +
		"if nothing would change, with 2 if something would, and with 1 after any mistake or error. Without\n" +
		"it, a mistake in the command line or in a Compose file exits with 2."
	a.ProjectFlags(cmd)
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	cmd.Flags().BoolVar(&a.Detailed, "detailed-exitcode", false,
		"exit with 0: no changes, 2: changes, 1: a mistake or an error")
	return cmd
}

// exitChanges is the exit status of plan --detailed-exitcode if something would change.
const exitChanges = 2

// planRequest prints what a request would do.
func planRequest(ctx context.Context, a *cli.App, c *client.Client, v view.Deployment,
	r rhumb.DeployRequest) (rhumb.Plan, error) {
	v.Close()
	plan, err := c.Plan(ctx, r)
	if err != nil {
		return plan, err
	}
	return plan, printPlan(a, plan)
}

func printPlan(a *cli.App, plan rhumb.Plan) error {
	if a.JSON() {
		return view.JSON(a.Stdout, plan)
	}
	view.Plan(a.Stdout, plan)
	return nil
}
