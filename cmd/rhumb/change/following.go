package change

import (
	"time"

	"github.com/spf13/cobra"
)

// following holds the flags of commands that follow a deployment. dryRun and waitLock are for those that also start it.
type following struct {
	detach      bool
	yes         bool
	dryRun      bool
	waitTimeout time.Duration
	waitLock    time.Duration
}

// flags adds the flags of a command that starts a deployment and follows it.
func (f *following) flags(cmd *cobra.Command) {
	f.followFlags(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the plan and change nothing")
	cmd.Flags().DurationVar(&f.waitLock, "wait-lock", 0,
		"wait this `TIME` for another deployment of the stack to end, such as 30s or 5m")
}

// followFlags adds the flags of a command that only follows a deployment.
func (f *following) followFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVarP(&f.detach, "detach", "d", false, "return as soon as the deployment has begun")
	fs.BoolVarP(&f.yes, "yes", "y", false, "don't ask; Ctrl-C rolls back at once")
	fs.DurationVar(&f.waitTimeout, "wait-timeout", 10*time.Minute,
		"stop following after this `TIME`; the deployment goes on")
}
