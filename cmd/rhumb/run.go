package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// app is one run of the program.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer // screens
	rawOut, rawErr io.Writer // the same as they are, for data and for what applications write
	interrupts     *terminal.Interrupts
	o              options
	detailed       bool // plan --detailed-exitcode: a mistake must not look like changes
	began          bool // a command's own code runs: what goes wrong from here on isn't a matter of usage
}

// run is the program: it carries out args and gives the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: view.NewScreen(stdout), stderr: view.NewScreen(stderr), rawOut: stdout, rawErr: stderr, interrupts: terminal.NewInterrupts()}
	ctx, stop := a.interrupts.Watch(ctx)
	defer stop()
	root := a.root()
	root.SetArgs(args)
	a.detailed = slices.Contains(args, "--detailed-exitcode") // a mistake may come before the flag is read
	return a.finish(root.ExecuteContext(ctx))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rhumb",
		Short: "Bring the system on your servers to what a Compose file says, and hold it there",
		Long: "Rhumb brings the system on your servers to what a Compose file says, and holds it there,\n" +
			"without dropping a request, or puts it back as it was.",
		SilenceErrors: true, SilenceUsage: true, TraverseChildren: true, SuggestionsMinimumDistance: 2,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return rhumb.Errorf(rhumb.Invalid, "there is no command %q", args[0]).WithHint("rhumb --help lists them%s", didYouMean(cmd, args[0]))
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return rhumb.Errorf(rhumb.Invalid, "%v", err).WithHint("%s --help tells how it is used", cmd.CommandPath())
	})
	a.projectFlags(root)
	a.hostFlag(root)
	root.AddGroup(&cobra.Group{ID: "change", Title: "Change a stack:"}, &cobra.Group{ID: "look", Title: "Look:"},
		&cobra.Group{ID: "inside", Title: "Work inside:"}, &cobra.Group{ID: "server", Title: "Server:"})
	for group, cmds := range map[string][]*cobra.Command{
		"change": {a.deployCommand(), a.planCommand(), a.rollbackCommand(), a.scaleCommand(), a.restartCommand(), a.downCommand(), a.cancelCommand()},
		"look":   {a.psCommand(), a.logsCommand(), a.eventsCommand(), a.releasesCommand(), a.stacksCommand(), a.routesCommand(), a.certsCommand(), a.caCommand(), a.configCommand()},
		"inside": {a.execCommand(), a.runCommand(), a.secretCommand()},
		"server": {a.serverCommand(), a.proxyCommand(), a.installCommand(), a.uninstallCommand(), a.upgradeCommand(), a.backupCommand(), a.restoreCommand(), a.doctorCommand(), a.versionCommand()},
	} {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.AddCommand(a.dialStdioCommand())
	return root
}

func didYouMean(cmd *cobra.Command, word string) string {
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return "; did you mean " + near[0] + "?"
	}
	return ""
}

// command makes a command. Its do gets a context that ends with an interrupt.
func (a *app) command(use, short string, args cobra.PositionalArgs, do func(context.Context, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: fitting(args), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.began = true
			return do(cmd.Context(), args)
		}}
}

// fitting tells how a command is used when its arguments don't fit.
func fitting(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if args(cmd, given) == nil {
			return nil
		}
		err := rhumb.Errorf(rhumb.Invalid, "arguments are missing")
		if len(given) > 0 {
			err = rhumb.Errorf(rhumb.Invalid, "these arguments don't fit: %s", strings.Join(given, " "))
		}
		return err.WithHint("the usage is: %s", cmd.UseLine())
	}
}

// client gives the server's other end.
func (a *app) client() (*client.Client, error) {
	host := a.o.host
	if host == "" {
		host = os.Getenv("RHUMB_HOST")
	}
	return client.New(host)
}

// user is who sits at the terminal, if anybody does.
func (a *app) user() terminal.User { return terminal.User{In: a.stdin, Out: a.stderr} }

// outcome is how a command ended without being an error: an exit status of its own, and perhaps words.
type outcome struct {
	exit  int
	words string
}

func (o *outcome) Error() string { return o.words }

// finish turns how a command ended into words and the exit status. Nothing else decides about either.
func (a *app) finish(err error) int {
	var o *outcome
	var several rhumb.Errors
	switch {
	case err == nil:
		return rhumb.ExitConverged
	case errors.As(err, &o):
		w := a.stdout
		if o.exit != rhumb.ExitConverged {
			w = a.stderr
		}
		if o.words != "" {
			fmt.Fprintln(w, o.words)
		}
		return o.exit
	case a.interrupts.Interrupted() && (errors.Is(err, context.Canceled) || rhumb.ErrorCode(err) == rhumb.Cancelled):
		return rhumb.ExitCancelled
	case !a.began && rhumb.ErrorCode(err) == rhumb.Internal: // the flag parser's own words
		err = rhumb.Errorf(rhumb.Invalid, "%v", err).WithHint("rhumb COMMAND --help tells how it is used")
	case errors.As(err, &several):
		for _, e := range several {
			view.Error(a.stderr, e)
		}
		return a.status(err)
	}
	view.Error(a.stderr, err)
	return a.status(err)
}

func (a *app) status(err error) int {
	switch rhumb.ErrorCode(err) {
	case rhumb.Invalid:
		if a.detailed {
			return rhumb.ExitError
		}
		return rhumb.ExitUsage
	case rhumb.Cancelled:
		return rhumb.ExitCancelled
	}
	return rhumb.ExitError
}
