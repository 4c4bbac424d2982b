// Package inside holds the commands that run something in a stack, or keep its values.
package inside

import (
	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
)

// Commands returns the commands of the group.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		execCommand(a),
		runCommand(a),
		secretCommand(a),
	}
}
