package look

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// metricsOptions are the flags of metrics.
type metricsOptions struct {
	since, until, at string
	step             time.Duration
}

func metricsCommand(a *cli.App) *cobra.Command {
	var o metricsOptions
	cmd := a.Query("metrics EXPRESSION [flags]", "Draw what is measured over a time, or print its values at one",
		cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
			q, err := o.query(args[0], time.Now())
			if err != nil {
				return err
			}
			list, err := c.Query(ctx, q)
			switch {
			case err != nil:
				return err
			case a.JSON():
				return view.JSON(a.Stdout, view.List(list))
			case q.Since.IsZero():
				view.Values(a.Stdout, q, list)
				return nil
			}
			view.Chart(a.Stdout, q, list)
			return nil
		})
	cmd.Long = "Evaluate an EXPRESSION in PromQL, and draw its values over the last hour or another time. With --at,\n" +
		"print its values at that time.\n\n" +
		"    rhumb metrics 'sum by (service) (rate(rhumb_requests_total{stack=\"shop\"}[1m]))' --since 6h\n" +
		"    rhumb metrics 'topk(5, rhumb_replica_memory_bytes)' --at now"
	fs := cmd.Flags()
	fs.StringVar(&o.since, "since", "1h", "draw values since `WHEN`: 10m (ago) or 2026-01-02T15:04:05Z")
	fs.StringVar(&o.until, "until", "", "draw values until `WHEN`")
	fs.StringVar(&o.at, "at", "", "print the values at `WHEN`: now, 10m (ago) or 2026-01-02T15:04:05Z")
	fs.DurationVar(&o.step, "step", 0, "the `TIME` between two values: 15s")
	cmd.MarkFlagsMutuallyExclusive("at", "since")
	cmd.MarkFlagsMutuallyExclusive("at", "until")
	cmd.MarkFlagsMutuallyExclusive("at", "step")
	a.HostFlag(cmd)
	a.Formats(cmd, "text", "json")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (o metricsOptions) query(expr string, now time.Time) (q rhumb.MetricQuery, err error) {
	q.Expr = expr
	switch o.at {
	case "":
	case "now":
		return q, nil
	default:
		q.Until, err = moment(o.at, now)
		return q, err
	}
	if q.Since, err = moment(o.since, now); err != nil {
		return q, err
	}
	if q.Until, err = moment(o.until, now); err != nil {
		return q, err
	}
	if o.step < 0 {
		return q, rhumb.Errorf(rhumb.Invalid, "--step: %s is not a time span", o.step).WithHint("use 15s or 1h")
	}
	q.Step = o.step
	q = q.Range(now)
	if !q.Until.After(q.Since) {
		return q, rhumb.Errorf(rhumb.Invalid, "--until is before --since")
	}
	return q, nil
}
