package main

import (
	"github.com/spf13/cobra"

	"rhumb"
)

func (a *app) restartCommand() *cobra.Command {
	return a.completeServices(a.changing("restart [SERVICE...] [flags]", "Replace replicas with new ones of the same release", cobra.ArbitraryArgs, func(r *rhumb.ChangeRequest, args []string) error {
		r.Cause, r.Services = rhumb.CauseRestart, args
		return nil
	}), 0, "")
}
