package inside

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/httpapi/client"
)

// runFlags holds the flags of run.
type runFlags struct {
	commandFlags
	release    string
	entrypoint string
	rm, noDeps bool
}

func runCommand(a *cli.App) *cobra.Command {
	var f runFlags
	cmd := a.Command("run [flags] SERVICE [COMMAND] [ARG...]",
		"Run a command in one more replica of a service, which is then removed", cobra.MinimumNArgs(1),
		func(ctx context.Context, args []string) error { return run(ctx, a, f, args[0], args[1:]) })
	f.flags(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.release, "release", "",
		"run the service of this `RELEASE`, even if it never served (default: the release that serves)")
	fs.StringVar(&f.entrypoint, "entrypoint", "", "use this `COMMAND` instead of the service's entrypoint")
	fs.BoolVar(&f.rm, "rm", true, "remove the container when it ends (always)")
	fs.BoolVar(&f.noDeps, "no-deps", true, "start no other services (never)")
	for _, known := range []string{"rm", "no-deps"} { // accepted out of habit from docker compose
		if err := fs.MarkHidden(known); err != nil {
			panic(err) // it was defined above
		}
	}
	a.StackFlags(cmd)
	a.HostFlag(cmd)
	return a.CompleteServices(cmd, 1, "")
}

// run runs a one-off of a service. Its exit code becomes the exit status.
func run(ctx context.Context, a *cli.App, f runFlags, service string, command []string) error {
	if !f.rm {
		return rhumb.Errorf(rhumb.Invalid, "a one-off is always removed when it ends").
			WithHint("omit --rm=false; what the command writes to named volumes stays")
	}
	release := 0
	if f.release != "" {
		var err error
		if release, err = cli.ReleaseNumber(f.release); err != nil {
			return err
		}
	}
	oneOff := func(ctx context.Context, c *client.Client, stack string, o rhumb.ExecOptions) (int, error) {
		o.Release = release
		if f.entrypoint != "" {
			o.Entrypoint = strings.Fields(f.entrypoint)
		}
		if !o.TTY { // on a terminal, Ctrl-C reaches the command directly
			signals, give := a.Interrupts.TakeOne()
			defer give()
			o.Streams.Signals = signals
		}
		return c.Run(ctx, stack, service, o)
	}
	return inside(ctx, a, f.commandFlags, command, oneOff)
}
