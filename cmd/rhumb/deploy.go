package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/source"
	"rhumb/cmd/rhumb/view"
)

func (a *app) deployCommand() *cobra.Command {
	var opts following
	var strategy, note string
	cmd := a.command("deploy [flags]", "Bring a stack to what its Compose file says", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.deploy(ctx, rhumb.Strategy(strategy), note, opts)
	})
	a.projectFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	opts.flags(cmd)
	cmd.Flags().StringVar(&strategy, "strategy", "", "`HOW` all services change: rolling or recreate (default: as the Compose file says)")
	cmd.Flags().StringVar(&note, "note", "", "`WORDS` for the list of releases")
	return cmd
}

func (a *app) deploy(ctx context.Context, strategy rhumb.Strategy, note string, opts following) error {
	switch strategy {
	case "", rhumb.StrategyRolling, rhumb.StrategyRecreate:
	default:
		return rhumb.Errorf(rhumb.Invalid, "there is no strategy %q", strategy).WithHint("--strategy is rolling or recreate")
	}
	p, err := a.load(ctx)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.sameProject(ctx, c, p.Named, opts.yes || opts.dryRun); err != nil {
		return err
	}
	v := view.New(a.o.json(), a.stdout, a.stderr, view.SubjectOf(p.Stack))
	r, err := source.Request(ctx, c, p, v)
	if err != nil {
		v.Close()
		return err
	}
	r.By, r.Strategy, r.WaitLock, r.Note = who(), strategy, opts.waitLock, note
	if opts.dryRun {
		v.Close()
		plan, err := c.Plan(ctx, r)
		if err != nil {
			return err
		}
		return a.printPlan(plan)
	}
	return a.begin(ctx, c, v, opts, r.Model.Name, func(ctx context.Context) (d rhumb.Deployment, err error) {
		err = view.Ticking(ctx, v, func(ctx context.Context) error {
			d, err = c.Deploy(ctx, r, v.Event)
			return err
		})
		return d, err
	})
}
