package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/httpapi/client"
)

// commandFlags are those of exec and run.
type commandFlags struct {
	interactive, tty, noTTY, rm bool
	env                         []string
	user, workdir               string
	privileged                  bool
	index                       int
}

func (f *commandFlags) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SetInterspersed(false) // what comes after the service is the command's own
	fs.BoolVarP(&f.interactive, "interactive", "i", true, "join the standard input")
	fs.BoolVarP(&f.tty, "tty", "t", false, "give the command a terminal (the default when there is one)")
	fs.BoolVarP(&f.noTTY, "no-tty", "T", false, "give the command no terminal")
	fs.BoolVar(&f.noTTY, "no-TTY", false, "as docker compose spells it")
	if err := fs.MarkHidden("no-TTY"); err != nil {
		panic(err) // it was defined a line above
	}
	fs.StringArrayVarP(&f.env, "env", "e", nil, "a variable, `NAME=VALUE`; may be repeated")
	fs.StringVarP(&f.user, "user", "u", "", "the `USER`, or USER:GROUP")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "the `FOLDER`")
}

func (a *app) execCommand() *cobra.Command {
	var f commandFlags
	cmd := a.command("exec [flags] SERVICE COMMAND [ARG...]", "Run a command in a service's replica", cobra.MinimumNArgs(2), func(ctx context.Context, args []string) error {
		return a.inside(ctx, f, args, func(ctx context.Context, c *client.Client, stack string, o rhumb.ExecOptions) (int, error) {
			return c.Exec(ctx, stack, args[0], f.index, o)
		})
	})
	f.flags(cmd)
	cmd.Flags().IntVar(&f.index, "index", 0, "which replica: its slot's `NUMBER`; 0 is the first that is ready")
	cmd.Flags().BoolVar(&f.privileged, "privileged", false, "with all capabilities")
	a.stackFlags(cmd)
	a.hostFlag(cmd)
	return a.completeServices(cmd, 1, "")
}

func (a *app) runCommand() *cobra.Command {
	var f commandFlags
	var entrypoint string
	var noDeps bool
	var number string
	cmd := a.command("run [flags] SERVICE [COMMAND] [ARG...]", "Run a command in one more replica of a service, and remove that", cobra.MinimumNArgs(1), func(ctx context.Context, args []string) error {
		if !f.rm {
			return rhumb.Errorf(rhumb.Invalid, "a one-off is always removed when it ends").WithHint("leave --rm=false out; what it writes to named volumes stays")
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
			if !o.TTY { // a terminal's Ctrl-C goes to the command by itself
				signals, give := a.interrupts.TakeOne()
				defer give()
				o.Streams.Signals = signals
			}
			return c.Run(ctx, stack, args[0], o)
		})
	})
	f.flags(cmd)
	cmd.Flags().StringVar(&number, "release", "",
		"as this `RELEASE` has the service, also one that never served; the default is the one that serves")
	cmd.Flags().StringVar(&entrypoint, "entrypoint", "", "another `COMMAND` than the service's")
	cmd.Flags().BoolVar(&f.rm, "rm", true, "remove it when it ends (it always is)")
	cmd.Flags().BoolVar(&noDeps, "no-deps", true, "start nothing else (nothing ever is)")
	for _, known := range []string{"rm", "no-deps"} { // for fingers that know them
		if err := cmd.Flags().MarkHidden(known); err != nil {
			panic(err) // it was defined a line above
		}
	}
	a.stackFlags(cmd)
	a.hostFlag(cmd)
	return a.completeServices(cmd, 1, "")
}

// inside runs a command with the user's streams joined; its exit code becomes the program's.
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
			return rhumb.Errorf(rhumb.Invalid, "the standard input or output is not a terminal").WithHint("leave -t away, or give -T")
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

// join connects the streams; with a terminal it goes raw until leave is called.
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
		return nil, fmt.Errorf("use the terminal: %w", err)
	}
	sizes, stop := terminal.Sizes(out)
	o.Streams.Resize = sizes
	return func() {
		stop()
		_ = term.Restore(int(in.Fd()), before) // nothing can be done about it
	}, nil
}

// variables checks NAME=VALUE; a bare NAME takes its value from here.
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
