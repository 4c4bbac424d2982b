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
	rawOut, rawErr io.Writer // the same streams unfiltered, for data and for the output of applications
	interrupts     *terminal.Interrupts
	o              options
	detailed       bool // plan --detailed-exitcode: a mistake must not look like changes
	began          bool // the command's own code has started: errors from here on are not usage errors
}

// run is the program: it executes args and returns the exit status.
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
		Short: "Bring a server to the state that a Compose file describes, and hold it there",
		Long: "Rhumb brings a server to the state that a Compose file describes and holds it there, without dropping\n" +
			"a request. If a deployment fails, rhumb puts everything back as it was.",
		SilenceErrors: true, SilenceUsage: true, TraverseChildren: true, SuggestionsMinimumDistance: 2,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return rhumb.Errorf(rhumb.Invalid, "unknown command %q", args[0]).
				WithHint("rhumb --help lists the commands%s", didYouMean(cmd, args[0]))
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return rhumb.Errorf(rhumb.Invalid, "%v", err).WithHint("see %s --help", cmd.CommandPath())
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

// command makes a command. The context of do ends with an interrupt.
func (a *app) command(use, short string, args cobra.PositionalArgs, do func(context.Context, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: fitting(args), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.began = true
			return do(cmd.Context(), args)
		}}
}

// fitting wraps a check of arguments: its error shows how the command is used.
func fitting(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if args(cmd, given) == nil {
			return nil
		}
		err := rhumb.Errorf(rhumb.Invalid, "arguments are missing")
		if len(given) > 0 {
			err = rhumb.Errorf(rhumb.Invalid, "wrong arguments: %s", strings.Join(given, " "))
		}
		return err.WithHint("usage: %s", cmd.UseLine())
	}
}

// client returns a client of the server that --host or RHUMB_HOST names.
func (a *app) client() (*client.Client, error) {
	host := a.o.host
	if host == "" {
		host = os.Getenv("RHUMB_HOST")
	}
	return client.New(host)
}

// user returns the user at the terminal; there may be none.
func (a *app) user() terminal.User { return terminal.User{In: a.stdin, Out: a.stderr} }

// outcome ends a command without an error message: with an exit status, and words if there are any.
type outcome struct {
	exit  int
	words string
}

func (o *outcome) Error() string { return o.words }

// finish prints how a command ended and returns the exit status. Nothing else decides about either.
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
	case !a.began && rhumb.ErrorCode(err) == rhumb.Internal: // an error of the flag parser
		err = rhumb.Errorf(rhumb.Invalid, "%v", err).WithHint("see rhumb COMMAND --help")
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
