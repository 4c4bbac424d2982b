package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Flags holds the flags that several commands share.
type Flags struct {
	host       string // the server's URL; "": RHUMB_HOST
	Name       string // the stack's name; "": see App.NamedStack
	format     string
	files      []string
	env        string
	profiles   []string
	envFiles   []string
	allowUnset bool
}

// Raw reports whether the output is the bytes as they were written.
func (f *Flags) Raw() bool { return f.format == "raw" }

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

// HostFlag adds --host, which chooses the server.
func (a *App) HostFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.host, "host", a.host,
		"use the server at this `URL`: unix:///PATH, ssh://USER@HOST or https://HOST (RHUMB_HOST)")
}

// FormatFlag adds --format, with table and json.
func (a *App) FormatFlag(cmd *cobra.Command) {
	a.Formats(cmd, "table", "json")
}

// Formats adds --format with these formats; the first is the default.
func (a *App) Formats(cmd *cobra.Command, words ...string) {
	cmd.Flags().Var(format{&a.format, words}, "format", "print "+strings.Join(words, " or "))
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("format", complete); err != nil {
		panic(err) // it was defined a line above
	}
}

// ProjectFlags adds the flags that choose the Compose files. They are not inherited, because some commands use the same
// letters for other flags, as in Compose. There, give them before the command: "rhumb -f FILE logs -f".
func (a *App) ProjectFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	a.StackFlags(cmd)
	fs.StringArrayVar(&a.profiles, "profile", nil, "activate this `PROFILE`; repeatable")
	fs.StringArrayVar(&a.envFiles, "env-file", nil, "read variables from this `FILE` instead of .env; repeatable")
	fs.BoolVar(&a.allowUnset, "allow-unset", false, "warn about unset variables and use \"\"")
}

// StackFlags adds the flags that choose the stack.
func (a *App) StackFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	arrayVar(fs, &a.files, "file", "f", "read this Compose `FILE`; repeatable; - is the standard input")
	if fs.Lookup("env") == nil {
		fs.StringVarP(&a.env, "env", "e", "", "merge compose.`ENV`.yaml and read .env.ENV")
	}
	fs.StringVarP(&a.Name, "project-name", "p", "", "use this `STACK` name")
	a.CompleteStacks(cmd)
}

// arrayVar adds a repeatable flag. It omits the letter if the command uses that for another flag.
func arrayVar(fs *pflag.FlagSet, to *[]string, name, letter, usage string) {
	if fs.ShorthandLookup(letter) != nil {
		letter = ""
	}
	fs.StringArrayVarP(to, name, letter, nil, usage)
}

// Looking adds the flags of a command that looks at a stack.
func (a *App) Looking(cmd *cobra.Command) *cobra.Command {
	a.StackFlags(cmd)
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cmd
}
