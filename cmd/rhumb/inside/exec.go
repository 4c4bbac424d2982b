package inside

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/httpapi/client"
)

func execCommand(a *cli.App) *cobra.Command {
	var f commandFlags
	cmd := a.Command("exec [flags] SERVICE COMMAND [ARG...]", "Run a command in a service's replica",
		cobra.MinimumNArgs(2), func(ctx context.Context, args []string) error {
			exec := func(ctx context.Context, c *client.Client, stack string, o rhumb.ExecOptions) (int, error) {
				return c.Exec(ctx, stack, args[0], f.index, o)
			}
			return inside(ctx, a, f, args[1:], exec)
		})
	f.flags(cmd)
	cmd.Flags().IntVar(&f.index, "index", 0, "run in the replica of slot `NUMBER`; 0: the first replica that is ready")
	cmd.Flags().BoolVar(&f.privileged, "privileged", false, "run with all capabilities")
	a.StackFlags(cmd)
	a.HostFlag(cmd)
	return a.CompleteServices(cmd, 1, "")
}
