package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/change"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/inside"
	"rhumb/cmd/rhumb/look"
	"rhumb/cmd/rhumb/machine"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
)

// run is the program: it executes args and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &cli.App{Version: version, Stdin: stdin, Stdout: view.NewScreen(stdout), Stderr: view.NewScreen(stderr),
		RawOut: stdout, RawErr: stderr, Interrupts: terminal.NewInterrupts()}
	ctx, stop := a.Interrupts.Watch(ctx)
	defer stop()
	cmd := root(a)
	cmd.SetArgs(args)
	a.Detailed = slices.Contains(args, "--detailed-exitcode") // a mistake may come before the flag is read
	return finish(a, cmd.ExecuteContext(ctx))
}

// group is a group of commands in the help.
type group struct {
	id, title string
	commands  func(*cli.App) []*cobra.Command
}

var groups = []group{
	{"change", "Change a stack:", change.Commands},
	{"look", "Look:", look.Commands},
	{"inside", "Work inside:", inside.Commands},
	{"server", "Server:", machine.Commands},
}

// root makes the command line.
func root(a *cli.App) *cobra.Command {
	root := &cobra.Command{
		Use:   "rhumb",
		Short: "Bring a server to the state that a Compose file describes, and hold it there",
		Long: "Rhumb brings a server to the state that a Compose file describes and holds it there, without dropping\n" +
			"a request. If a deployment fails, rhumb puts everything back as it was.",
		SilenceErrors: true, SilenceUsage: true, TraverseChildren: true, SuggestionsMinimumDistance: 2,
		Args: cli.Fitting(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return rhumb.Errorf(rhumb.Invalid, "%v", err).WithHint("see %s --help", cmd.CommandPath())
	})
	a.ProjectFlags(root)
	a.HostFlag(root)
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands(a) {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(machine.DialStdioCommand(a), machine.InspectorCommand(a))
	return root
}

// finish prints how a command ended and returns the exit status. Nothing else decides about either.
func finish(a *cli.App, err error) int {
	var o *cli.Outcome
	var several rhumb.Errors
	switch {
	case err == nil:
		return rhumb.ExitConverged
	case errors.As(err, &o):
		w := a.Stdout
		if o.Exit != rhumb.ExitConverged {
			w = a.Stderr
		}
		if o.Words != "" {
			fmt.Fprintln(w, o.Words)
		}
		return o.Exit
	case a.Interrupts.Interrupted() && (errors.Is(err, context.Canceled) || rhumb.ErrorCode(err) == rhumb.Cancelled):
		return rhumb.ExitCancelled
	case !a.Began && rhumb.ErrorCode(err) == rhumb.Internal: // an error of the flag parser
		err = rhumb.Errorf(rhumb.Invalid, "%v", err).WithHint("see rhumb COMMAND --help")
	case errors.As(err, &several):
		for _, e := range several {
			view.Error(a.Stderr, e)
		}
		return status(a, err)
	}
	view.Error(a.Stderr, err)
	return status(a, err)
}

func status(a *cli.App, err error) int {
	switch rhumb.ErrorCode(err) {
	case rhumb.Invalid:
		if a.Detailed {
			return rhumb.ExitError
		}
		return rhumb.ExitUsage
	case rhumb.Cancelled:
		return rhumb.ExitCancelled
	}
	return rhumb.ExitError
}
