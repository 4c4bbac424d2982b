package inside

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/httpapi/client"
)

// commandFlags holds the flags of exec and run.
type commandFlags struct {
	interactive, tty, noTTY bool
	env                     []string
	user, workdir           string
	privileged              bool
	index                   int
}

func (f *commandFlags) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SetInterspersed(false) // flags after the service belong to the command
	fs.BoolVarP(&f.interactive, "interactive", "i", true, "pass the standard input to the command")
	fs.BoolVarP(&f.tty, "tty", "t", false,
		"run the command in a terminal (default if the standard input and output are terminals)")
	fs.BoolVarP(&f.noTTY, "no-tty", "T", false, "run the command without a terminal")
	fs.BoolVar(&f.noTTY, "no-TTY", false, "spelling of docker compose")
	if err := fs.MarkHidden("no-TTY"); err != nil {
		panic(err) // it was defined a line above
	}
	fs.StringArrayVarP(&f.env, "env", "e", nil, "set a variable, `NAME=VALUE`; repeatable")
	fs.StringVarP(&f.user, "user", "u", "", "run as this `USER`, or USER:GROUP")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "run in this `FOLDER`")
}

// inside runs a command with the user's streams. The command's exit code becomes the exit status.
func inside(ctx context.Context, a *cli.App, f commandFlags, command []string,
	do func(context.Context, *client.Client, string, rhumb.ExecOptions) (int, error)) error {
	env, err := variables(f.env)
	if err != nil {
		return err
	}
	return a.With(func(c *client.Client) error {
		stack, err := a.Stack(ctx, c)
		if err != nil {
			return err
		}
		o := rhumb.ExecOptions{Command: command, Env: env, User: f.user, WorkingDir: f.workdir, Privileged: f.privileged}
		o.TTY = !f.noTTY && terminal.Is(a.Stdin) && terminal.Is(a.Stdout)
		if f.tty && !o.TTY && !f.noTTY {
			return rhumb.Errorf(rhumb.Invalid, "the standard input or output is not a terminal").WithHint("omit -t, or pass -T")
		}
		leave, err := join(a, &o, f.interactive)
		if err != nil {
			return err
		}
		code, err := do(ctx, c, stack, o)
		leave()
		if err != nil {
			return err
		}
		return &cli.Outcome{Exit: code}
	})
}

// join connects the streams. With a terminal, it sets raw mode until leave is called.
func join(a *cli.App, o *rhumb.ExecOptions, interactive bool) (leave func(), err error) {
	if interactive {
		o.Streams.In = a.Stdin
	}
	o.Streams.Out = a.RawOut
	if !o.TTY {
		o.Streams.Err = a.RawErr
		return func() {}, nil
	}
	in, out := a.Stdin.(*os.File), a.RawOut.(*os.File)
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
