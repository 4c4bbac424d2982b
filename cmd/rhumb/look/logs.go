package look

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

type logsOptions struct {
	rhumb.LogOptions
	tail         string
	since, until string
	grep         string
	times        bool
	noPrefix     bool
}

func logsCommand(a *cli.App) *cobra.Command {
	var o logsOptions
	cmd := a.Command("logs [SERVICE...] [flags]", "Show the logs of the replicas, merged by time", cobra.ArbitraryArgs,
		func(ctx context.Context, args []string) error {
			return logs(ctx, a, args, o)
		})
	fs := cmd.Flags()
	fs.BoolVarP(&o.Follow, "follow", "f", false, "keep printing new lines")
	fs.StringVarP(&o.tail, "tail", "n", "all", "show only the last `N` lines of each replica")
	fs.StringVar(&o.since, "since", "", "show only lines since `WHEN`: 10m (ago) or 2026-01-02T15:04:05Z")
	fs.StringVar(&o.until, "until", "", "show only lines until `WHEN`")
	fs.StringVar(&o.grep, "grep", "", "show only lines that match this regular `EXPRESSION`")
	fs.BoolVarP(&o.times, "timestamps", "t", false, "show the time of each line")
	fs.BoolVar(&o.noPrefix, "no-log-prefix", false, "don't show the replica of each line")
	return a.CompleteServices(a.Looking(cmd), 0, "")
}

func logs(ctx context.Context, a *cli.App, services []string, o logsOptions) error {
	match, err := o.read(time.Now())
	if err != nil {
		return err
	}
	return a.With(func(c *client.Client) error {
		name, err := a.Stack(ctx, c)
		if err != nil {
			return err
		}
		asked := o.LogOptions
		keep := 0
		if match != nil && !o.Follow && o.Tail > 0 { // -n counts the lines that match
			asked.Tail, keep = 0, o.Tail
		}
		var kept []rhumb.LogLine
		write := logWriter(ctx, a, c, name, services, o)
		for l, err := range c.Logs(ctx, name, services, asked) {
			if err != nil {
				return err
			}
			if match != nil && !match.MatchString(l.Text) {
				continue
			}
			if keep > 0 {
				kept = append(kept, l)
				kept = kept[max(0, len(kept)-keep):]
				continue
			}
			if err := write(l); err != nil {
				return err
			}
		}
		for _, l := range kept {
			if err := write(l); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// logWriter returns a function that prints a line. It aligns the names of the replicas that exist now; names of later
// replicas may be longer.
func logWriter(ctx context.Context, a *cli.App, s rhumb.Stacks, stack string, services []string,
	o logsOptions) func(rhumb.LogLine) error {
	if a.JSON() {
		return func(l rhumb.LogLine) error { return view.Line(a.Stdout, l) }
	}
	w := &view.Log{W: a.RawOut, Bare: o.noPrefix, Times: o.times}
	st, err := s.Status(ctx, stack)
	if err != nil {
		return w.Write // the call for the logs reports the error
	}
	for _, svc := range st.Services {
		for _, r := range svc.Slots {
			if len(services) == 0 || slices.Contains(services, svc.Name) {
				w.Expect(stack, r.Name)
			}
		}
	}
	return w.Write
}

// read parses the flags.
func (o *logsOptions) read(now time.Time) (*regexp.Regexp, error) {
	var err error
	if o.Since, err = moment(o.since, now); err != nil {
		return nil, err
	}
	if o.Until, err = moment(o.until, now); err != nil {
		return nil, err
	}
	if o.tail != "all" {
		n, err := strconv.Atoi(o.tail)
		if err != nil || n < 0 {
			return nil, rhumb.Errorf(rhumb.Invalid, "--tail: %q is not a number of lines", o.tail).
				WithHint("use a number, or all")
		}
		if o.Tail = n; n == 0 {
			o.Tail = -1 // no old lines
		}
	}
	if o.grep == "" {
		return nil, nil
	}
	match, err := regexp.Compile(o.grep)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "--grep: %v", err).
			WithHint(`put \ before special characters to match them literally: "\("`)
	}
	return match, nil
}
