// Package cli holds what the commands share: the streams of a run, its flags, the choice of a server and a stack, and
// completions.
package cli

import (
	"cmp"
	"context"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/httpapi/client"
)

// App is one run of the program.
type App struct {
	Version        string
	Stdin          io.Reader
	Stdout, Stderr io.Writer // screens
	RawOut, RawErr io.Writer // the same streams unfiltered, for data and for the output of applications
	Interrupts     *terminal.Interrupts
	Flags
	Detailed bool // plan --detailed-exitcode: a mistake must not look like changes
	Began    bool // the command's own code has started: errors from here on are not usage errors
}

// Outcome ends a command without an error message: with an exit status, and words if there are any.
type Outcome struct {
	Exit  int
	Words string
}

func (o *Outcome) Error() string { return o.Words }

// Command makes a command. The context of do ends with an interrupt.
func (a *App) Command(use, short string, args cobra.PositionalArgs,
	do func(context.Context, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: Fitting(args),
		DisableFlagsInUseLine: true, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Began = true
			return do(cmd.Context(), args)
		}}
}

// Query makes a command whose do gets a client of the server.
func (a *App) Query(use, short string, args cobra.PositionalArgs,
	do func(context.Context, *client.Client, []string) error) *cobra.Command {
	return a.Command(use, short, args, func(ctx context.Context, args []string) error {
		return a.With(func(c *client.Client) error { return do(ctx, c, args) })
	})
}

// Fitting wraps a check of arguments. Its error shows how the command is used; for a word in the place of a
// subcommand, it names the nearest one.
func Fitting(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if args(cmd, given) == nil {
			return nil
		}
		err := rhumb.Errorf(rhumb.Invalid, "wrong arguments: %s", strings.Join(given, " "))
		switch {
		case len(given) > 0 && cmd.HasAvailableSubCommands():
			return rhumb.Errorf(rhumb.Invalid, "unknown command %q", given[0]).
				WithHint("%s --help lists the commands%s", cmd.CommandPath(), didYouMean(cmd, given[0]))
		case len(given) == 0, args(cmd, append(slices.Clone(given), "")) == nil:
			err = rhumb.Errorf(rhumb.Invalid, "arguments are missing")
		}
		return err.WithHint("usage: %s", cmd.UseLine())
	}
}

func didYouMean(cmd *cobra.Command, word string) string {
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return "; did you mean " + near[0] + "?"
	}
	return ""
}

// Server returns the URL of the server that --host or RHUMB_HOST names; "" for the default.
func (a *App) Server() string {
	if a.host != "" {
		return a.host
	}
	return os.Getenv("RHUMB_HOST")
}

// With calls do with a client of the server and closes the client afterwards.
func (a *App) With(do func(*client.Client) error) error {
	c, err := client.New(a.Server())
	if err != nil {
		return err
	}
	defer c.Close()
	if strings.HasPrefix(cmp.Or(a.Server(), client.DefaultHost), "unix://") {
		c.From = UsedFrom()
	}
	return do(c)
}

// UsedFrom returns the address from which this machine is used over SSH. It is invalid if that isn't known: sudo, for
// example, keeps it from programs.
func UsedFrom() netip.Addr {
	for _, name := range []string{"SSH_CLIENT", "SSH_CONNECTION"} {
		text, _, _ := strings.Cut(os.Getenv(name), " ")
		if a, err := netip.ParseAddr(text); err == nil {
			return a.Unmap().WithZone("")
		}
	}
	return netip.Addr{}
}

// User returns the user at the terminal; there may be none.
func (a *App) User() terminal.User { return terminal.User{In: a.Stdin, Out: a.Stderr} }

// JSON reports whether the output is JSON.
func (a *App) JSON() bool { return a.format == "json" }
