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

func eventsCommand(a *cli.App) *cobra.Command {
	var f rhumb.EventFilter
	var since string
	var all bool
	cmd := a.Query("events [flags]", "Show what happened", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			var err error
			if f.Since, err = moment(since, time.Now()); err != nil {
				return err
			}
			if !all {
				if f.Stack, err = a.Stack(ctx, c); err != nil {
					return err
				}
			}
			return printEvents(ctx, a, c, f, all)
		})
	cmd.Flags().BoolVarP(&f.Follow, "follow", "f", false, "keep printing new events")
	cmd.Flags().IntVarP(&f.Limit, "tail", "n", 0, "show only the last `N` events; 0: all")
	cmd.Flags().Int64Var(&f.Deployment, "deployment", 0, "show only events of the deployment with this `ID`")
	cmd.Flags().Int64Var(&f.After, "from", 0, "show only events after this `ID`")
	cmd.Flags().StringVar(&since, "since", "", "show only events since `WHEN`: 10m (ago) or 2026-01-02T15:04:05Z")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "show the events of all stacks")
	return a.Looking(cmd)
}

// printEvents prints events. After a broken connection, a follower resumes at the last event that it printed.
func printEvents(ctx context.Context, a *cli.App, c *client.Client, f rhumb.EventFilter, all bool) error {
	for {
		var broken error
		for e, err := range c.Events(ctx, f) {
			if err != nil {
				broken = err
				break
			}
			f.After, f.Limit = max(f.After, e.ID), 0
			if err := printEvent(a, e, all); err != nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !f.Follow, broken != nil && (rhumb.ErrorCode(broken) != rhumb.Unavailable || f.After == 0):
			return broken
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func printEvent(a *cli.App, e rhumb.Event, several bool) error {
	if a.JSON() {
		return view.Line(a.Stdout, e)
	}
	return view.Event(a.Stdout, e, several)
}

// moment parses a time: a duration before now, a time in RFC 3339, or a day.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano,
		"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, rhumb.Errorf(rhumb.Invalid, "%q is not a time", s).
		WithHint("use 10m, 2026-01-02 or 2026-01-02T15:04:05Z")
}
