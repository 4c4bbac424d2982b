package main

import (
	"github.com/spf13/cobra"

	"rhumb"
)

func (a *app) downCommand() *cobra.Command {
	var volumes bool
	cmd := a.changing("down [flags]", "Take a stack down; its volumes stay unless you pass --volumes", cobra.NoArgs, func(r *rhumb.ChangeRequest, _ []string) error {
		r.Cause, r.Volumes = rhumb.CauseDown, volumes
		return nil
	})
	cmd.Flags().BoolVarP(&volumes, "volumes", "v", false, "also remove its volumes, with all their data")
	return cmd
}
