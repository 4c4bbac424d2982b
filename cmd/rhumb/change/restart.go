package change

import (
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
)

func restartCommand(a *cli.App) *cobra.Command {
	cmd := changing(a, "restart [SERVICE...] [flags]", "Replace replicas with new ones of the same release",
		cobra.ArbitraryArgs, func(r *rhumb.ChangeRequest, args []string) error {
			r.Cause, r.Services = rhumb.CauseRestart, args
			return nil
		})
	return a.CompleteServices(cmd, 0, "")
}
