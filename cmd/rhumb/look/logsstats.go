package look

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// logStats is what "rhumb logs stats --format json" prints.
type logStats struct {
	Counts       []rhumb.LogCount
	Destinations []rhumb.LogDestination // of the whole server
}

func logsStatsCommand(a *cli.App) *cobra.Command {
	var o logsOptions
	cmd := a.Query("stats [SERVICE...] [flags]", "Count the lines that are kept, by service and release",
		cobra.ArbitraryArgs, func(ctx context.Context, c *client.Client, args []string) error {
			if err := o.read(time.Now()); err != nil {
				return err
			}
			name, err := o.stack(ctx, a, c)
			if err != nil {
				return err
			}
			o.of(name, args)
			counts, err := c.LogCounts(ctx, o.query)
			if err != nil {
				return err
			}
			sent, err := c.LogDestinations(ctx)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, logStats{view.List(counts), view.List(sent)})
			}
			view.LogCounts(a.Stdout, counts)
			view.LogDestinations(a.Stdout, sent)
			return nil
		})
	o.flags(cmd)
	return a.CompleteServices(a.Looking(cmd), 0, "")
}
