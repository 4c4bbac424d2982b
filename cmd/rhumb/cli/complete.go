package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// completeTime is how long a completion waits for the server.
const completeTime = 2 * time.Second

// CompleteServices completes a command's arguments with the services of the stack, at most limit of them (0: any
// number).
func (a *App) CompleteServices(cmd *cobra.Command, limit int, suffix string) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if limit > 0 && len(args) >= limit {
			return nil, cobra.ShellCompDirectiveDefault
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if suffix != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		var names []string
		a.quietly(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			stack, err := a.Stack(ctx, c)
			if err != nil {
				return err
			}
			st, err := c.Status(ctx, stack)
			for _, s := range st.Services {
				if strings.HasPrefix(s.Name, begun) {
					names = append(names, s.Name+suffix)
				}
			}
			return err
		})
		return names, directive
	}
	return cmd
}

// CompleteReleases completes a command's arguments with the numbers of the stack's releases.
func (a *App) CompleteReleases(cmd *cobra.Command) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		var numbers []string
		a.quietly(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			stack, err := a.Stack(ctx, c)
			if err != nil {
				return err
			}
			rs, err := c.Releases(ctx, stack)
			for _, r := range rs {
				if n := strconv.Itoa(r.Number); strings.HasPrefix(n, begun) {
					numbers = append(numbers, n+"\t"+view.Release(r))
				}
			}
			return err
		})
		return numbers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
	return cmd
}

// CompleteStacks completes -p with the stacks of the server.
func (a *App) CompleteStacks(cmd *cobra.Command) {
	CompleteFlagWith(a, cmd, "project-name", StackNames)
}

// CompleteStackArg completes a command's only argument with the stacks of the server.
func CompleteStackArg(a *App, cmd *cobra.Command) *cobra.Command {
	return CompleteWith(a, cmd, StackNames)
}

// CompleteWith completes a command's only argument with words of the server.
func CompleteWith(a *App, cmd *cobra.Command, words Words) *cobra.Command {
	complete := completion(a, words)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, begun)
	}
	return cmd
}

// CompleteFlagWith completes a flag with words of the server.
func CompleteFlagWith(a *App, cmd *cobra.Command, flag string, words Words) {
	if err := cmd.RegisterFlagCompletionFunc(flag, completion(a, words)); err != nil {
		panic(err) // the flag is defined by the caller
	}
}

// CompleteFlag completes a flag with one of a few words.
func CompleteFlag(cmd *cobra.Command, flag string, words []string) {
	complete := cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag is defined by the caller
	}
}

// Words reads words from a server. A description may follow a word, behind a tab.
type Words func(ctx context.Context, c *client.Client) ([]string, error)

// StackNames reads the names of the stacks.
func StackNames(ctx context.Context, c *client.Client) (names []string, err error) {
	stacks, err := c.Stacks(ctx)
	for _, s := range stacks {
		names = append(names, s.Name)
	}
	return names, err
}

func completion(a *App, read Words) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		var words []string
		a.quietly(cmd.Context(), func(ctx context.Context, c *client.Client) (err error) {
			words, err = read(ctx, c)
			return err
		})
		words = slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, begun) })
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// quietly queries the server for a completion. After an error there is nothing to complete.
func (a *App) quietly(ctx context.Context, do func(context.Context, *client.Client) error) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	_ = a.With(func(c *client.Client) error { return do(ctx, c) })
}
