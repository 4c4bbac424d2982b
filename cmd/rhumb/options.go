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

// Set implements pflag.Value. It rejects formats that the command cannot print.
func (f format) Set(s string) error {
	if !slices.Contains(f.words, s) {
		return fmt.Errorf("the formats are %s", strings.Join(f.words, " and "))
	}
	*f.to = s
	return nil
}

// hostFlag adds --host, which chooses the server.
func (a *app) hostFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.o.host, "host", a.o.host,
		"the server's `URL`: unix:///PATH, ssh://USER@HOST or https://HOST (RHUMB_HOST)")
}

// formatFlag adds --format, with table and json.
func (a *app) formatFlag(cmd *cobra.Command) {
	a.formats(cmd, "table", "json")
}

// formats adds --format with these formats; the first is the default.
func (a *app) formats(cmd *cobra.Command, words ...string) {
	cmd.Flags().Var(format{&a.o.format, words}, "format", "print "+strings.Join(words, " or "))
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("format", complete); err != nil {
		panic(err) // it was defined a line above
	}
}

// projectFlags adds the flags that choose the Compose files. They are not inherited, because some commands use the same
// letters for other flags, as in Compose. There, give them before the command: "rhumb -f FILE logs -f".
func (a *app) projectFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	a.stackFlags(cmd)
	fs.StringArrayVar(&a.o.profiles, "profile", nil, "activate this `PROFILE`; repeatable")
	fs.StringArrayVar(&a.o.envFiles, "env-file", nil, "read variables from this `FILE` instead of .env; repeatable")
	fs.BoolVar(&a.o.allowUnset, "allow-unset", false, "warn about unset variables and use \"\"")
}

// stackFlags adds the flags that choose the stack.
func (a *app) stackFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	arrayVar(fs, &a.o.files, "file", "f", "read this Compose `FILE`; repeatable; - is the standard input")
	if fs.Lookup("env") == nil {
		fs.StringVarP(&a.o.env, "env", "e", "", "merge compose.`ENV`.yaml and read .env.ENV")
	}
	fs.StringVarP(&a.o.name, "project-name", "p", "", "use this `STACK` name")
	a.completeStacks(cmd)
}

// arrayVar adds a repeatable flag. It omits the letter if the command uses that for another flag.
func arrayVar(fs *pflag.FlagSet, to *[]string, name, letter, usage string) {
	if fs.ShorthandLookup(letter) != nil {
		letter = ""
	}
	fs.StringArrayVarP(to, name, letter, nil, usage)
}

// looking adds the flags of a command that looks at a stack.
func (a *app) looking(cmd *cobra.Command) *cobra.Command {
	a.stackFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

// following holds the flags of commands that start a deployment and follow it.
type following struct {
	detach      bool
	yes         bool
	dryRun      bool
	waitTimeout time.Duration
	waitLock    time.Duration
}

func (f *following) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVarP(&f.detach, "detach", "d", false, "return as soon as the deployment has begun")
	fs.BoolVarP(&f.yes, "yes", "y", false, "don't ask; Ctrl-C rolls back at once")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan and change nothing")
	fs.DurationVar(&f.waitTimeout, "wait-timeout", 10*time.Minute, "stop following after this time; the deployment goes on")
	fs.DurationVar(&f.waitLock, "wait-lock", 0, "wait this long for another deployment of the stack to end")
}
