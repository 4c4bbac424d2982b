package change

import (
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
)

func rollbackCommand(a *cli.App) *cobra.Command {
	cmd := changing(a, "rollback [RELEASE] [flags]", "Return to an older release", cobra.MaximumNArgs(1),
		func(r *rhumb.ChangeRequest, args []string) error {
			r.Cause = rhumb.CauseRollback
			if len(args) == 0 {
				return nil
			}
			var err error
			r.Release, err = cli.ReleaseNumber(args[0])
			return err
		})
	cmd.Long = "Return to an older release: its images, configs, secrets and project files. The default is the\n" +
		"release that served before. It does not undo what applications did to data."
	return a.CompleteReleases(cmd)
}
