// Package change holds the commands that change a stack and follow the deployment.
package change

import (
	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
)

// Commands returns the commands of the group.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		deployCommand(a),
		planCommand(a),
		rollbackCommand(a),
		scaleCommand(a),
		restartCommand(a),
		downCommand(a),
		cancelCommand(a),
	}
}
