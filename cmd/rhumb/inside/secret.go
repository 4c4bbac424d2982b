package inside

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func secretCommand(a *cli.App) *cobra.Command {
	cmd := a.Command("secret COMMAND", "Keep values for external secrets and configs", cobra.NoArgs, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	create := a.Command("create NAME FILE|-", "Set a value from a file or the standard input", cobra.ExactArgs(2),
		func(ctx context.Context, args []string) error {
			content, err := a.User().Open(args[1])
			if err != nil {
				return err
			}
			defer content.Close()
			return a.With(func(c *client.Client) error { return c.SetValue(ctx, args[0], content) })
		})
	ls := a.Query("ls [flags]", "List the names of the values", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			names, err := c.Values(ctx)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, view.List(names))
			}
			for _, n := range names {
				fmt.Fprintln(a.Stdout, view.OneLine(n))
			}
			return nil
		})
	a.FormatFlag(ls)
	rm := a.Query("rm NAME...", "Remove values", cobra.MinimumNArgs(1),
		func(ctx context.Context, c *client.Client, args []string) error { return removeValues(ctx, c, args) })
	for _, sub := range []*cobra.Command{create, ls, rm} {
		a.HostFlag(sub)
		cmd.AddCommand(sub)
	}
	return cmd
}

// removeValues removes the values of these names and returns the errors of all that fail.
func removeValues(ctx context.Context, s rhumb.Values, names []string) error {
	var errs rhumb.Errors
	for _, name := range names {
		err := s.RemoveValue(ctx, name)
		var e *rhumb.Error
		if errors.As(err, &e) {
			errs = append(errs, e)
		} else if err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}
