package look

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func routesCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("routes [flags]", "Show what the proxy serves, with statistics", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			rs, err := c.Routes(ctx)
			if err != nil {
				return err
			}
			if a.Name != "" {
				rs = view.RoutesOf(rs, a.Name)
			}
			if a.JSON() {
				return view.JSON(a.Stdout, rs)
			}
			view.Routes(a.Stdout, rs)
			return nil
		})
	cmd.Flags().StringVarP(&a.Name, "project-name", "p", "", "show only routes of this `STACK`")
	a.CompleteStacks(cmd)
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cmd
}
