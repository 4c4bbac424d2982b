package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func (a *app) routesCommand() *cobra.Command {
	cmd := a.command("routes [flags]", "Show what the proxy serves, with statistics", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			rs, err := c.Routes(ctx)
			if err != nil {
				return err
			}
			if a.o.name != "" {
				rs = view.RoutesOf(rs, a.o.name)
			}
			if a.o.json() {
				return view.JSON(a.stdout, rs)
			}
			view.Routes(a.stdout, rs)
			return nil
		})
	})
	cmd.Flags().StringVarP(&a.o.name, "project-name", "p", "", "show only routes of this `STACK`")
	a.completeStacks(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}
