package change

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func deployCommand(a *cli.App) *cobra.Command {
	var opts following
	var strategy, note string
	cmd := a.Command("deploy [flags]", "Bring a stack to the state in its Compose file", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return deploy(ctx, a, rhumb.Strategy(strategy), note, opts)
		})
	a.ProjectFlags(cmd)
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	opts.flags(cmd)
	cmd.Flags().StringVar(&strategy, "strategy", "",
		"change all services this `WAY`: rolling or recreate (default: as the Compose file says)")
	cmd.Flags().StringVar(&note, "note", "", "show this `NOTE` in the list of releases")
	return cmd
}

func deploy(ctx context.Context, a *cli.App, strategy rhumb.Strategy, note string, opts following) error {
	switch strategy {
	case "", rhumb.StrategyRolling, rhumb.StrategyRecreate:
	default:
		return rhumb.Errorf(rhumb.Invalid, "unknown strategy %q", strategy).WithHint("--strategy is rolling or recreate")
	}
	return prepare(ctx, a, opts.yes, opts.dryRun, func(c *client.Client, v view.Deployment, r rhumb.DeployRequest) error {
		r.By, r.Strategy, r.WaitLock, r.Note = terminal.UserAtHost(), strategy, opts.waitLock, note
		if opts.dryRun {
			_, err := planRequest(ctx, a, c, v, r)
			return err
		}
		ask := func(ctx context.Context, request string) (d rhumb.Deployment, err error) {
			r.ID = request
			err = view.Ticking(ctx, v, func(ctx context.Context) error {
				d, err = c.Deploy(ctx, r, v.Event)
				return err
			})
			return d, err
		}
		return begin(ctx, a, c, v, opts, r.Model.Name, ask)
	})
}
