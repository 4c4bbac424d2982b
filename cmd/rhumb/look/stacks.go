package look

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func stacksCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("stacks [flags]", "List the stacks", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			stacks, err := c.Stacks(ctx)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, view.List(stacks))
			}
			view.Stacks(a.Stdout, stacks)
			return nil
		})
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cmd
}
