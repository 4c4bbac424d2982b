package look

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func whyCommand(a *cli.App) *cobra.Command {
	var since, until string
	cmd := a.Query("why [STACK|SERVICE|STACK/SERVICE] [flags]", "Find out what most likely began a trouble",
		cobra.MaximumNArgs(2), func(ctx context.Context, c *client.Client, args []string) error {
			var q rhumb.WhyQuery
			var err error
			now := time.Now()
			if q.Since, err = moment(since, now); err != nil {
				return err
			}
			if q.Until, err = moment(until, now); err != nil {
				return err
			}
			if q.Stack, q.Service, err = whyOf(ctx, a, c, args); err != nil {
				return err
			}
			x, err := c.Why(ctx, q)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, x)
			}
			view.Why(a.Stdout, cmp.Or(strings.Trim(q.Stack+"/"+q.Service, "/"), "all stacks"), x)
			return nil
		})
	cmd.Long = "Compare a time with the hour before it, and report what most likely began a trouble, and the evidence.\n" +
		"Without arguments, that is about all stacks and the server. A SERVICE is one of the stack whose Compose\n" +
		"file is here, or of the only stack; it may also follow its STACK as a second argument."
	cmd.Flags().StringVar(&since, "since", "", "begin at `WHEN`: 10m (ago) or 2026-01-02T15:04:05Z (default 1h)")
	cmd.Flags().StringVar(&until, "until", "", "end at `WHEN` (default now)")
	a.HostFlag(cmd)
	a.Formats(cmd, "text", "json")
	return cli.CompleteWith(a, cmd, whyWords)
}

// whyWords reads the stacks and their services.
func whyWords(ctx context.Context, c *client.Client) (words []string, err error) {
	stacks, err := c.Stacks(ctx)
	for _, st := range stacks {
		words = append(words, st.Name)
		for _, svc := range st.Services {
			words = append(words, st.Name+"/"+svc.Name)
		}
	}
	return words, err
}

// whyOf returns the stack and the service that the arguments name. A single word that is no stack is a service.
func whyOf(ctx context.Context, a *cli.App, c *client.Client, args []string) (stack, service string, err error) {
	switch {
	case len(args) == 0:
		return a.Name, "", nil
	case len(args) == 2:
		return args[0], args[1], nil
	}
	if stack, service, ok := strings.Cut(args[0], "/"); ok {
		return stack, service, nil
	}
	stacks, err := c.Stacks(ctx)
	if err != nil {
		return "", "", err
	}
	if slices.ContainsFunc(stacks, func(s rhumb.StackInfo) bool { return s.Name == args[0] }) {
		return args[0], "", nil
	}
	name, err := a.Stack(ctx, c)
	if err != nil {
		return args[0], "", nil // a stack that is gone may still be explained
	}
	i := slices.IndexFunc(stacks, func(s rhumb.StackInfo) bool { return s.Name == name })
	if i < 0 || !slices.ContainsFunc(stacks[i].Services, func(s rhumb.ServiceStatus) bool { return s.Name == args[0] }) {
		return args[0], "", nil
	}
	return name, args[0], nil
}
