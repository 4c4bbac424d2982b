package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
)

func (a *app) rollbackCommand() *cobra.Command {
	cmd := a.changing("rollback [RELEASE] [flags]", "Return to an older release", cobra.MaximumNArgs(1), func(r *rhumb.ChangeRequest, args []string) error {
		r.Cause = rhumb.CauseRollback
		if len(args) == 0 {
			return nil
		}
		var err error
		r.Release, err = releaseNumber(args[0])
		return err
	})
	cmd.Long = "Return to an older release: its images, configs, secrets and project files. The default is the release that\n" +
		"served before. It does not undo what applications did to data."
	return a.completeReleases(cmd)
}

// releaseNumber parses "42" or "shop@42".
func releaseNumber(s string) (int, error) {
	n, err := strconv.Atoi(s[strings.LastIndex(s, "@")+1:])
	if err != nil || n < 1 {
		return 0, rhumb.Errorf(rhumb.Invalid, "%q is not a release number", s).WithHint("rhumb releases lists the numbers")
	}
	return n, nil
}
