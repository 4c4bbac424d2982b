package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func (a *app) deployCommand() *cobra.Command {
	var opts following
	var strategy, note string
	cmd := a.command("deploy [flags]", "Bring a stack to the state in its Compose file", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.deploy(ctx, rhumb.Strategy(strategy), note, opts)
	})
	a.projectFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	opts.flags(cmd)
	cmd.Flags().StringVar(&strategy, "strategy", "",
		"change all services this `WAY`: rolling or recreate (default: as the Compose file says)")
	cmd.Flags().StringVar(&note, "note", "", "show this `NOTE` in the list of releases")
	return cmd
}

func (a *app) deploy(ctx context.Context, strategy rhumb.Strategy, note string, opts following) error {
	switch strategy {
	case "", rhumb.StrategyRolling, rhumb.StrategyRecreate:
	default:
		return rhumb.Errorf(rhumb.Invalid, "unknown strategy %q", strategy).WithHint("--strategy is rolling or recreate")
	}
	return a.prepare(ctx, opts.yes, opts.dryRun, func(c *client.Client, v view.Deployment, r rhumb.DeployRequest) error {
		r.By, r.Strategy, r.WaitLock, r.Note = who(), strategy, opts.waitLock, note
		if opts.dryRun {
			_, err := a.plan(ctx, c, v, r)
			return err
		}
		return a.begin(ctx, c, v, opts, r.Model.Name, func(ctx context.Context) (d rhumb.Deployment, err error) {
			err = view.Ticking(ctx, v, func(ctx context.Context) error {
				d, err = c.Deploy(ctx, r, v.Event)
				return err
			})
			return d, err
		})
	})
}
