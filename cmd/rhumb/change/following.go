package change

import (
	"time"

	"github.com/spf13/cobra"
)

// following holds the flags of commands that start a deployment and follow it.
type following struct {
	detach      bool
	yes         bool
	dryRun      bool
	waitTimeout time.Duration
	waitLock    time.Duration
}

func (f *following) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVarP(&f.detach, "detach", "d", false, "return as soon as the deployment has begun")
	fs.BoolVarP(&f.yes, "yes", "y", false, "don't ask; Ctrl-C rolls back at once")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan and change nothing")
	fs.DurationVar(&f.waitTimeout, "wait-timeout", 10*time.Minute,
		"stop following after this time; the deployment goes on")
	fs.DurationVar(&f.waitLock, "wait-lock", 0, "wait this long for another deployment of the stack to end")
}
