package look

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/httpapi/client"
)

// logsOptions holds the flags that choose log lines, and those that print them.
type logsOptions struct {
	query        rhumb.LogQuery
	tail         string
	since, until string
	level        string
	kinds        []string
	release      string
	times        bool
	noPrefix     bool
	match        *regexp.Regexp // of query.Grep
}

func logsCommand(a *cli.App) *cobra.Command {
	var o logsOptions
	cmd := a.Command("logs [SERVICE...] [flags]", "Show what replicas wrote, merged by time, also of those that are gone",
		cobra.ArbitraryArgs, func(ctx context.Context, args []string) error { return logs(ctx, a, args, o) })
	fs := cmd.Flags()
	fs.BoolVarP(&o.query.Follow, "follow", "f", false, "keep printing new lines")
	fs.StringVarP(&o.tail, "tail", "n", "all", "show only the last `N` lines")
	fs.IntVar(&o.query.Around, "context", 0, "with --grep: also show `N` lines of the replica before and after each match")
	fs.BoolVarP(&o.times, "timestamps", "t", false, "show the time of each line")
	fs.BoolVar(&o.noPrefix, "no-log-prefix", false, "show neither the replica of each line nor deployments")
	o.flags(cmd)
	a.StackFlags(cmd)
	a.HostFlag(cmd)
	a.Formats(cmd, "text", "json", "raw")
	cmd.AddCommand(logsStatsCommand(a))
	return a.CompleteServices(cmd, 0, "")
}

// flags adds the flags that choose lines.
func (o *logsOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&o.since, "since", "", "show only lines since `WHEN`: 10m (ago) or 2026-01-02T15:04:05Z")
	fs.StringVar(&o.until, "until", "", "show only lines until `WHEN`")
	fs.StringVar(&o.query.Grep, "grep", "", "show only lines that match this regular `EXPRESSION`")
	fs.StringVarP(&o.query.Query, "query", "q", "", "show only lines that match this `LOGSQL` query")
	fs.StringVar(&o.level, "level", "",
		"show only lines of at least this `LEVEL`: "+strings.Join(rhumb.LevelNames(), ", "))
	fs.StringVar(&o.release, "release", "", "show only lines of this `RELEASE`")
	fs.StringVar(&o.query.Replica, "replica", "", "show only lines of this `REPLICA`: its name or container ID")
	fs.StringVar(&o.query.Stream, "stream", "", "show only lines on this `STREAM`: stdout or stderr")
	fs.StringSliceVar(&o.kinds, "kind", nil, "show only lines of this `KIND`: "+
		strings.Join(rhumb.LineKindNames(), ", ")+" (default output,access)")
	for flag, words := range map[string][]string{
		"level": rhumb.LevelNames(), "stream": {"stdout", "stderr"}, "kind": rhumb.LineKindNames(),
	} {
		complete := cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flag is defined above
		}
	}
}

// read parses the flags.
func (o *logsOptions) read(now time.Time) error {
	var err error
	if o.query.Since, err = moment(o.since, now); err != nil {
		return err
	}
	if o.query.Until, err = moment(o.until, now); err != nil {
		return err
	}
	if err := o.readTail(); err != nil {
		return err
	}
	if o.query.Level, err = rhumb.ParseLevel(o.level); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--level: %w", err).WithHint("%s", rhumb.ErrorHint(err))
	}
	if err := o.readKinds(); err != nil {
		return err
	}
	if o.release != "" {
		if o.query.Release, err = cli.ReleaseNumber(o.release); err != nil {
			return err
		}
	}
	if s := o.query.Stream; s != "" && s != "stdout" && s != "stderr" {
		return rhumb.Errorf(rhumb.Invalid, "--stream: there is no stream %q", s).WithHint("use stdout or stderr")
	}
	if o.query.Around < 0 || o.query.Around > 0 && o.query.Grep == "" {
		return rhumb.Errorf(rhumb.Invalid, "--context needs --grep and a number of lines").
			WithHint("--grep EXPRESSION --context 3")
	}
	return o.readGrep()
}

func (o *logsOptions) readKinds() error {
	for _, name := range o.kinds {
		k, err := rhumb.ParseLineKind(name)
		if err != nil {
			return rhumb.Errorf(rhumb.Invalid, "--kind: %w", err).WithHint("%s", rhumb.ErrorHint(err))
		}
		o.query.Kinds = append(o.query.Kinds, k)
	}
	return nil
}

// stack returns the name of the stack whose lines are chosen; "" if only lines of rhumb itself are, which have none.
func (o *logsOptions) stack(ctx context.Context, a *cli.App, c *client.Client) (string, error) {
	own := func(k rhumb.LineKind) bool { return k == rhumb.LineDaemon || k == rhumb.LineProxy }
	for _, k := range o.query.ChosenKinds() {
		if !own(k) {
			return a.Stack(ctx, c)
		}
	}
	return "", nil
}

func (o *logsOptions) readTail() error {
	if o.tail == "all" || o.tail == "" {
		return nil
	}
	n, err := strconv.Atoi(o.tail)
	if err != nil || n < 0 {
		return rhumb.Errorf(rhumb.Invalid, "--tail: %q is not a number of lines", o.tail).WithHint("use a number, or all")
	}
	if o.query.Tail = n; n == 0 {
		o.query.Tail = -1 // no old lines
	}
	return nil
}

func (o *logsOptions) readGrep() error {
	if o.query.Grep == "" {
		return nil
	}
	match, err := regexp.Compile(o.query.Grep)
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--grep: %v", err).
			WithHint(`put \ before special characters to match them literally: "\("`)
	}
	o.match = match
	return nil
}

// of completes the query for a stack and services. A replica's name may be as short as the lines show it.
func (o *logsOptions) of(stack string, services []string) {
	o.query.Stack, o.query.Services = stack, services
	if r := o.query.Replica; strings.Contains(r, ".") && !strings.HasPrefix(r, stack+"-") {
		o.query.Replica = stack + "-" + r
	}
}

// logs prints the lines that the flags choose.
func logs(ctx context.Context, a *cli.App, services []string, o logsOptions) error {
	if err := o.read(time.Now()); err != nil {
		return err
	}
	return a.With(func(c *client.Client) error {
		name, err := o.stack(ctx, a, c)
		if err != nil {
			return err
		}
		o.of(name, services)
		p := newLogPrinter(ctx, a, c, o)
		defer p.stop()
		r := &logReader{client: c, query: o.query, note: p.note, print: p.line}
		if err := r.read(ctx); err != nil {
			return err
		}
		return p.missing()
	})
}
