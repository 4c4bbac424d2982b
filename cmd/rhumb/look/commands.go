// Package look holds the commands that show stacks, and change nothing.
package look

import (
	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
)

// Commands returns the commands of the group.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		psCommand(a),
		logsCommand(a),
		eventsCommand(a),
		releasesCommand(a),
		stacksCommand(a),
		routesCommand(a),
		certsCommand(a),
		caCommand(a),
		configCommand(a),
		topCommand(a),
		metricsCommand(a),
		nodesCommand(a),
		alertsCommand(a),
		whyCommand(a),
		dashboardCommand(a),
		bansCommand(a),
	}
}
