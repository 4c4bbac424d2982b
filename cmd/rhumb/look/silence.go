package look

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func silenceCommand(a *cli.App) *cobra.Command {
	var s rhumb.Silence
	cmd := a.Query("silence DURATION [flags]", "Keep alerts from being sent for a time", cobra.ExactArgs(1),
		func(ctx context.Context, c *client.Client, args []string) error {
			d, err := spanOf(args[0])
			if err != nil {
				return err
			}
			if s.Rule == "" && s.Stack == "" && s.Service == "" {
				return rhumb.Errorf(rhumb.Invalid, "a silence of all alerts is refused").
					WithHint("choose some with --rule, --stack or --service")
			}
			s.Until, s.By = time.Now().Add(d), terminal.UserAtHost()
			made, err := c.Silence(ctx, s)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, made)
			}
			fmt.Fprintf(a.Stdout, "silence %s: %s until %s\n", made.ID, view.SilenceOf(made),
				made.Until.Local().Format(time.DateTime))
			return nil
		})
	cmd.Long = "Keep alerts from being sent for a DURATION, such as 2h or 3d. An alert must match all flags.\n" +
		"It is still evaluated and shown."
	fs := cmd.Flags()
	fs.StringVar(&s.Rule, "rule", "", "only alerts of this `RULE`")
	fs.StringVar(&s.Stack, "stack", "", "only alerts of this `STACK`")
	fs.StringVar(&s.Service, "service", "", "only alerts of this `SERVICE`")
	fs.StringVar(&s.Why, "why", "", "record this `TEXT` with the silence")
	cli.CompleteFlagWith(a, cmd, "rule", func(ctx context.Context, c *client.Client) (names []string, err error) {
		rules, err := c.AlertRules(ctx)
		for _, r := range rules {
			names = append(names, r.Name)
		}
		return names, err
	})
	cli.CompleteFlagWith(a, cmd, "stack", cli.StackNames)
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// spanOf parses a time span: 90m, 2h or 3d.
func spanOf(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 3650 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, rhumb.Errorf(rhumb.Invalid, "%q is not a time span", s).WithHint("use 30m, 2h or 3d")
	}
	return d, nil
}
