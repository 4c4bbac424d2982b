package look

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func psCommand(a *cli.App) *cobra.Command {
	var all bool
	cmd := a.Query("ps [SERVICE...] [flags]", "List a stack's replicas", cobra.ArbitraryArgs,
		func(ctx context.Context, c *client.Client, args []string) error {
			stacks, err := psStacks(ctx, a, c, all)
			if err != nil {
				return err
			}
			for i := range stacks {
				if stacks[i].Services, err = only(stacks[i], args, all); err != nil {
					return err
				}
			}
			switch {
			case a.JSON() && all:
				return view.JSON(a.Stdout, view.List(stacks))
			case a.JSON():
				return view.JSON(a.Stdout, stacks[0])
			}
			view.Replicas(a.Stdout, stacks, all)
			return nil
		})
	a.CompleteServices(a.Looking(cmd), 0, "")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "list the replicas of all stacks")
	return cmd
}

func psStacks(ctx context.Context, a *cli.App, c *client.Client, all bool) ([]rhumb.StackInfo, error) {
	if !all {
		name, err := a.Stack(ctx, c)
		if err != nil {
			return nil, err
		}
		st, err := c.Status(ctx, name)
		return []rhumb.StackInfo{st}, err
	}
	stacks, err := c.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	for i := range stacks {
		if stacks[i], err = c.Status(ctx, stacks[i].Name); err != nil {
			return nil, err
		}
	}
	return stacks, nil
}

// only returns the named services, or all if there are no names. A lenient only ignores unknown names.
func only(st rhumb.StackInfo, names []string, lenient bool) ([]rhumb.ServiceStatus, error) {
	if len(names) == 0 {
		return st.Services, nil
	}
	var kept []rhumb.ServiceStatus
	for _, n := range names {
		found := false
		for _, s := range st.Services {
			if s.Name == n {
				kept, found = append(kept, s), true
			}
		}
		if !found && !lenient {
			return nil, noService(st, n)
		}
	}
	return kept, nil
}

func noService(st rhumb.StackInfo, name string) error {
	var names []string
	for _, s := range st.Services {
		names = append(names, s.Name)
	}
	return rhumb.Errorf(rhumb.NotFound, "stack %s has no service %q", st.Name, name).
		WithHint("its services are %s", strings.Join(names, ", "))
}
