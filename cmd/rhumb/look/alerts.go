package look

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func alertsCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("alerts [STACK] [flags]", "Show what is wrong, as the rules say", cobra.MaximumNArgs(1),
		func(ctx context.Context, c *client.Client, args []string) error {
			list, err := c.Alerts(ctx, stackOf(a, args))
			return show(a, list, err, view.Alerts)
		})
	cmd.Long = "Show the alerts that fire, those that are about to, and those that were resolved within the last day.\n" +
		"Without STACK, those of all stacks and of the server are shown."
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	cmd.AddCommand(alertTestCommand(a), silenceCommand(a), unsilenceCommand(a),
		listCommand(a, "rules [flags]", "List the rules: rhumb's own, and those of the stacks",
			(*client.Client).AlertRules, view.AlertRules),
		listCommand(a, "receivers [flags]", "Show where messages are sent, and how that goes",
			(*client.Client).AlertReceivers, view.AlertReceivers),
		listCommand(a, "silences [flags]", "List the silences", (*client.Client).Silences, view.Silences))
	return cli.CompleteStackArg(a, cmd)
}

func alertTestCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("test [flags]", "Send a test message to each receiver", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := c.TestAlert(ctx)
			if err == nil && len(list) == 0 {
				err = rhumb.Errorf(rhumb.NotFound, "alerts are sent nowhere").
					WithHint("name receivers with --alert-to URL where rhumb observe or rhumb server starts")
			}
			if err := show(a, list, err, view.AlertReceivers); err != nil {
				return err
			}
			var failed []string
			for _, r := range list {
				if r.LastError != "" {
					failed = append(failed, r.URL)
				}
			}
			if len(failed) > 0 {
				return rhumb.Errorf(rhumb.Unavailable, "the test message was not taken by %s", strings.Join(failed, ", "))
			}
			return nil
		})
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cmd
}

func unsilenceCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("unsilence ID [flags]", "End a silence", cobra.ExactArgs(1),
		func(ctx context.Context, c *client.Client, args []string) error {
			err := c.RemoveSilence(ctx, args[0])
			if err == nil {
				fmt.Fprintf(a.Stdout, "silence %s has ended\n", args[0])
			}
			return err
		})
	a.HostFlag(cmd)
	return cli.CompleteWith(a, cmd, func(ctx context.Context, c *client.Client) (ids []string, err error) {
		list, err := c.Silences(ctx)
		for _, s := range list {
			ids = append(ids, s.ID+"\t"+view.SilenceOf(s))
		}
		return ids, err
	})
}
