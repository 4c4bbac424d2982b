package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/httpapi/client"
)

// commandFlags holds the flags of exec and run.
type commandFlags struct {
	interactive, tty, noTTY, rm bool
	env                         []string
	user, workdir               string
	privileged                  bool
	index                       int
}

func (f *commandFlags) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SetInterspersed(false) // flags after the service belong to the command
	fs.BoolVarP(&f.interactive, "interactive", "i", true, "pass the standard input to the command")
	fs.BoolVarP(&f.tty, "tty", "t", false, "run the command in a terminal (default if the standard input and output are terminals)")
	fs.BoolVarP(&f.noTTY, "no-tty", "T", false, "run the command without a terminal")
	fs.BoolVar(&f.noTTY, "no-TTY", false, "spelling of docker compose")
	if err := fs.MarkHidden("no-TTY"); err != nil {
		panic(err) // it was defined a line above
	}
	fs.StringArrayVarP(&f.env, "env", "e", nil, "set a variable, `NAME=VALUE`; repeatable")
	fs.StringVarP(&f.user, "user", "u", "", "run as this `USER`, or USER:GROUP")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "run in this `FOLDER`")
}

func (a *app) execCommand() *cobra.Command {
	var f commandFlags
	cmd := a.command("exec [flags] SERVICE COMMAND [ARG...]", "Run a command in a service's replica", cobra.MinimumNArgs(2), func(ctx context.Context, args []string) error {
		return a.inside(ctx, f, args, func(ctx context.Context, c *client.Client, stack string, o rhumb.ExecOptions) (int, error) {
			return c.Exec(ctx, stack, args[0], f.index, o)
		})
	})
	f.flags(cmd)
	cmd.Flags().IntVar(&f.index, "index", 0, "run in the replica of slot `NUMBER`; 0: the first replica that is ready")
	cmd.Flags().BoolVar(&f.privileged, "privileged", false, "run with all capabilities")
	a.stackFlags(cmd)
	a.hostFlag(cmd)
	return a.completeServices(cmd, 1, "")
}

func (a *app) runCommand() *cobra.Command {
	var f commandFlags
	var entrypoint string
	var noDeps bool
	var number string
	cmd := a.command("run [flags] SERVICE [COMMAND] [ARG...]", "Run a command in one more replica of a service, which is then removed", cobra.MinimumNArgs(1), func(ctx context.Context, args []string) error {
		if !f.rm {
			return rhumb.Errorf(rhumb.Invalid, "a one-off is always removed when it ends").
				WithHint("omit --rm=false; what the command writes to named volumes stays")
		}
		of := 0
		if number != "" {
			var err error
			if of, err = releaseNumber(number); err != nil {
				return err
			}
		}
		return a.inside(ctx, f, args, func(ctx context.Context, c *client.Client, stack string, o rhumb.ExecOptions) (int, error) {
			o.Release = of
			if entrypoint != "" {
				o.Entrypoint = strings.Fields(entrypoint)
			}
			if !o.TTY { // on a terminal, Ctrl-C reaches the command directly
				signals, give := a.interrupts.TakeOne()
				defer give()
				o.Streams.Signals = signals
			}
			return c.Run(ctx, stack, args[0], o)
		})
	})
	f.flags(cmd)
	cmd.Flags().StringVar(&number, "release", "",
		"run the service of this `RELEASE`, even if it never served (default: the release that serves)")
	cmd.Flags().StringVar(&entrypoint, "entrypoint", "", "use this `COMMAND` instead of the service's entrypoint")
	cmd.Flags().BoolVar(&f.rm, "rm", true, "remove the container when it ends (always)")
	cmd.Flags().BoolVar(&noDeps, "no-deps", true, "start no other services (never)")
	for _, known := range []string{"rm", "no-deps"} { // accepted out of habit from docker compose
		if err := cmd.Flags().MarkHidden(known); err != nil {
			panic(err) // it was defined a line above
		}
	}
	a.stackFlags(cmd)
	a.hostFlag(cmd)
	return a.completeServices(cmd, 1, "")
}

// inside runs a command with the user's streams. The command's exit code becomes the exit status.
func (a *app) inside(ctx context.Context, f commandFlags, args []string,
	do func(context.Context, *client.Client, string, rhumb.ExecOptions) (int, error)) error {
	env, err := variables(f.env)
	if err != nil {
		return err
	}
	return a.with(func(c *client.Client) error {
		stack, err := a.stack(ctx, c)
		if err != nil {
			return err
		}
		o := rhumb.ExecOptions{Command: args[1:], Env: env, User: f.user, WorkingDir: f.workdir, Privileged: f.privileged}
		o.TTY = !f.noTTY && terminal.Is(a.stdin) && terminal.Is(a.stdout)
		if f.tty && !o.TTY && !f.noTTY {
			return rhumb.Errorf(rhumb.Invalid, "the standard input or output is not a terminal").WithHint("omit -t, or pass -T")
		}
		leave, err := a.join(&o, f.interactive)
		if err != nil {
			return err
		}
		code, err := do(ctx, c, stack, o)
		leave()
		if err != nil {
			return err
		}
		return &outcome{exit: code}
	})
}

// join connects the streams. With a terminal, it sets raw mode until leave is called.
func (a *app) join(o *rhumb.ExecOptions, interactive bool) (leave func(), err error) {
	if interactive {
		o.Streams.In = a.stdin
	}
	o.Streams.Out = a.rawOut
	if !o.TTY {
		o.Streams.Err = a.rawErr
		return func() {}, nil
	}
	in, out := a.stdin.(*os.File), a.rawOut.(*os.File)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "can't set the terminal to raw mode: %w", err)
	}
	sizes, stop := terminal.Sizes(out)
	o.Streams.Resize = sizes
	return func() {
		stop()
		_ = term.Restore(int(in.Fd()), before) // there is no remedy
	}, nil
}

// variables checks NAME=VALUE. A NAME without a value takes it from the environment.
func variables(env []string) ([]string, error) {
	var out []string
	for _, e := range env {
		name, _, ok := strings.Cut(e, "=")
		if name == "" {
			return nil, rhumb.Errorf(rhumb.Invalid, "-e %q is not NAME=VALUE", e)
		}
		if !ok {
			v, set := os.LookupEnv(name)
			if !set {
				continue
			}
			e = name + "=" + v
		}
		out = append(out, e)
	}
	return out, nil
}
