package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rhumb"
)

// options are the flags that several commands share.
type options struct {
	host       string
	format     string
	files      []string
	env        string
	name       string
	profiles   []string
	envFiles   []string
	allowUnset bool
}

func (o *options) validate() error {
	switch o.format {
	case "", "table", "yaml", "json":
		return nil
	}
	return rhumb.Errorf(rhumb.Invalid, "there is no format %q", o.format).WithHint("--format is table or json")
}

func (o *options) json() bool { return o.format == "json" }

// hostFlag lets a command choose the server.
func (a *app) hostFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.o.host, "host", a.o.host, "the server: unix:///PATH, ssh://USER@HOST or https://HOST (RHUMB_HOST)")
}

// formatFlag lets a command print JSON.
func (a *app) formatFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.o.format, "format", "table", "table or json")
}

// projectFlags let a command choose the Compose files. The flags are the command's own and not inherited, because some
// commands use the letters otherwise, as Compose's do: they are then given before the command ("rhumb -f FILE logs -f").
func (a *app) projectFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	a.stackFlags(cmd)
	fs.StringArrayVar(&a.o.profiles, "profile", nil, "a profile to activate; may be repeated")
	fs.StringArrayVar(&a.o.envFiles, "env-file", nil, "read variables from this file instead of .env; may be repeated")
	fs.BoolVar(&a.o.allowUnset, "allow-unset", false, "make a variable that isn't set a warning, and empty")
}

// stackFlags let a command choose the stack.
func (a *app) stackFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	arrayVar(fs, &a.o.files, "file", "f", "a Compose file; may be repeated; - is the standard input")
	if fs.Lookup("env") == nil {
		fs.StringVarP(&a.o.env, "env", "e", "", "the environment: merges compose.ENV.yaml and reads .env.ENV")
	}
	fs.StringVarP(&a.o.name, "project-name", "p", "", "the stack's name")
	a.completeStacks(cmd)
}

// arrayVar defines a repeatable flag, without its letter where the command uses that otherwise.
func arrayVar(fs *pflag.FlagSet, to *[]string, name, letter, usage string) {
	if fs.ShorthandLookup(letter) != nil {
		letter = ""
	}
	fs.StringArrayVarP(to, name, letter, nil, usage)
}

// looking makes a command one that looks at a stack of a server.
func (a *app) looking(cmd *cobra.Command) *cobra.Command {
	a.stackFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

// following are the flags of commands that start a deployment and follow it.
type following struct {
	detach      bool
	yes         bool
	dryRun      bool
	waitTimeout time.Duration
	waitLock    time.Duration
}

func (f *following) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVarP(&f.detach, "detach", "d", false, "return once the deployment has begun")
	fs.BoolVarP(&f.yes, "yes", "y", false, "ask nothing: Ctrl-C puts back at once")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan and change nothing")
	fs.DurationVar(&f.waitTimeout, "wait-timeout", 10*time.Minute, "how long to follow; the deployment goes on afterwards")
	fs.DurationVar(&f.waitLock, "wait-lock", 0, "how long to wait for another deployment of the stack")
}
