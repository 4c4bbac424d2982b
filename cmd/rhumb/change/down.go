package change

import (
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
)

func downCommand(a *cli.App) *cobra.Command {
	var volumes bool
	cmd := changing(a, "down [flags]", "Take a stack down; its volumes stay unless you pass --volumes", cobra.NoArgs,
		func(r *rhumb.ChangeRequest, _ []string) error {
			r.Cause, r.Volumes = rhumb.CauseDown, volumes
			return nil
		})
	cmd.Flags().BoolVarP(&volumes, "volumes", "v", false, "also remove its volumes, with all their data")
	return cmd
}
