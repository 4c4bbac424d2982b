package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

func (o *options) json() bool { return o.format == "json" }

// format is the flag --format: one of a few words.
type format struct {
	to    *string
	words []string // the first one is the default
}

func (f format) String() string {
	if len(f.words) == 0 {
		return ""
	}
	return f.words[0]
}

func (f format) Type() string { return "FORMAT" }

// Set takes only what the command can print.
func (f format) Set(s string) error {
	if !slices.Contains(f.words, s) {
		return fmt.Errorf("the formats are %s", strings.Join(f.words, " and "))
	}
	*f.to = s
	return nil
}

// hostFlag lets a command choose the server.
func (a *app) hostFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.o.host, "host", a.o.host, "the server's `URL`: unix:///PATH, ssh://USER@HOST or https://HOST (RHUMB_HOST)")
}

// formatFlag lets a command print JSON.
func (a *app) formatFlag(cmd *cobra.Command) {
	a.formats(cmd, "table", "json")
}

// formats defines --format for a command that prints these; the first is the default.
func (a *app) formats(cmd *cobra.Command, words ...string) {
	cmd.Flags().Var(format{&a.o.format, words}, "format", strings.Join(words, " or "))
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("format", complete); err != nil {
		panic(err) // it was defined a line above
	}
}

// projectFlags let a command choose the Compose files. The flags are the command's own and not inherited, because some
// commands use the letters otherwise, as Compose's do: they are then given before the command ("rhumb -f FILE logs -f").
func (a *app) projectFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	a.stackFlags(cmd)
	fs.StringArrayVar(&a.o.profiles, "profile", nil, "activate this `PROFILE`; may be repeated")
	fs.StringArrayVar(&a.o.envFiles, "env-file", nil, "read variables from this `FILE` instead of .env; may be repeated")
	fs.BoolVar(&a.o.allowUnset, "allow-unset", false, "make a variable that isn't set a warning, and empty")
}

// stackFlags let a command choose the stack.
func (a *app) stackFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	arrayVar(fs, &a.o.files, "file", "f", "a Compose `FILE`; may be repeated; - is the standard input")
	if fs.Lookup("env") == nil {
		fs.StringVarP(&a.o.env, "env", "e", "", "the environment: merges compose.`ENV`.yaml and reads .env.ENV")
	}
	fs.StringVarP(&a.o.name, "project-name", "p", "", "the `STACK`'s name")
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
