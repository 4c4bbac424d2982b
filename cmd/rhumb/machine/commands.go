// Package machine holds the commands for the server's own machine: to run, install and upgrade the server, to back it
// up, and to check it.
package machine

import (
	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
)

// Commands returns the commands of the group.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		serverCommand(a),
		proxyCommand(a),
		observeCommand(a),
		installCommand(a),
		uninstallCommand(a),
		upgradeCommand(a),
		backupCommand(a),
		restoreCommand(a),
		doctorCommand(a),
		versionCommand(a),
	}
}
