package look

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// listCommand returns a command that shows one of the client's lists.
func listCommand[T any](a *cli.App, use, short string, list func(*client.Client, context.Context) ([]T, error),
	table func(io.Writer, []T)) *cobra.Command {
	cmd := a.Query(use, short, cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := list(c, ctx)
		return show(a, all, err, table)
	})
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cmd
}

// show prints a list as JSON or as a table.
func show[T any](a *cli.App, list []T, err error, table func(io.Writer, []T)) error {
	if err != nil {
		return err
	}
	if a.JSON() {
		return view.JSON(a.Stdout, view.List(list))
	}
	table(a.Stdout, list)
	return nil
}
