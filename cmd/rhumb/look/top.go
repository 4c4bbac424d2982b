package look

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// topOptions are the flags of top. Keys change them.
type topOptions struct {
	stack, sort, by string
	once            bool
}

var (
	topSorts = []string{"cpu", "memory", "requests", "name"}
	topBys   = []string{"service", "replica"}
)

func topCommand(a *cli.App) *cobra.Command {
	var o topOptions
	cmd := a.Query("top [STACK] [flags]", "Show what services or replicas use, live", cobra.MaximumNArgs(1),
		func(ctx context.Context, c *client.Client, args []string) error {
			o.stack = stackOf(a, args)
			if err := oneOf("sort", o.sort, topSorts); err != nil {
				return err
			}
			if err := oneOf("by", o.by, topBys); err != nil {
				return err
			}
			if o.once || a.JSON() || !terminal.Is(a.Stdout) || !terminal.Is(a.Stdin) {
				return topOnce(ctx, a, c, o)
			}
			return topLive(ctx, a, c, o)
		})
	cmd.Long = "Show the CPUs, memory, network and requests that services or replicas use. Without STACK, those of all\n" +
		"stacks are shown. On a terminal the table is drawn again every few seconds, and these keys work:\n" + topKeys
	fs := cmd.Flags()
	fs.StringVar(&o.sort, "sort", "cpu", "sort by this `COLUMN`: "+strings.Join(topSorts, ", "))
	fs.StringVar(&o.by, "by", "service", "show a row for each `KIND`: "+strings.Join(topBys, ", "))
	fs.BoolVar(&o.once, "once", false, "print the table once")
	cli.CompleteFlag(cmd, "sort", topSorts)
	cli.CompleteFlag(cmd, "by", topBys)
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cli.CompleteStackArg(a, cmd)
}

// stackOf returns the stack that a command is about: its argument, else the value of -p; "": all stacks.
func stackOf(a *cli.App, args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return a.Name
}

// oneOf returns Invalid if a flag has none of its values.
func oneOf(flag, value string, words []string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return rhumb.Errorf(rhumb.Invalid, "--%s: there is no %q", flag, value).WithHint("use %s", strings.Join(words, ", "))
}

func topOnce(ctx context.Context, a *cli.App, c *client.Client, o topOptions) error {
	list, err := o.read(ctx, c)
	if err != nil {
		return err
	}
	if a.JSON() {
		return view.JSON(a.Stdout, view.List(list))
	}
	view.Usages(a.Stdout, list, o.replicas())
	return nil
}

func (o *topOptions) replicas() bool { return o.by == "replica" }

// read returns the sorted rows.
func (o *topOptions) read(ctx context.Context, m rhumb.Metrics) ([]view.Usage, error) {
	list, err := usages(ctx, m, o.stack, o.replicas())
	o.order(list)
	return list, err
}

// order sorts rows. Those that are equal stay sorted by name.
func (o *topOptions) order(list []view.Usage) {
	column := map[string]func(view.Usage) *float64{
		"cpu":    func(u view.Usage) *float64 { return u.CPU },
		"memory": func(u view.Usage) *float64 { return u.Memory },
		"requests": func(u view.Usage) *float64 {
			if o.replicas() {
				return u.Open
			}
			return u.Requests
		},
	}[o.sort]
	slices.SortFunc(list, func(a, b view.Usage) int {
		byName := cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Replica, b.Replica))
		if column == nil {
			return byName
		}
		return cmp.Or(-cmp.Compare(valueOf(column(a)), valueOf(column(b))), byName)
	})
}

// valueOf returns a figure; one that isn't known is the least.
func valueOf(v *float64) float64 {
	if v == nil {
		return -1
	}
	return *v
}

const topKeys = "q quit · c by CPU · m by memory · r by requests · n by name · s services or replicas"

// press takes a key. It returns whether to read again, and whether to quit.
func (o *topOptions) press(key byte) (again, quit bool) {
	switch key {
	case 'q', terminal.Interrupt:
		return false, true
	case 'c':
		o.sort = "cpu"
	case 'm':
		o.sort = "memory"
	case 'r':
		o.sort = "requests"
	case 'n':
		o.sort = "name"
	case 's':
		o.by = topBys[1-slices.Index(topBys, o.by)]
		return true, false
	}
	return false, false
}

// topRefresh is how often the rows are read: as often as they change.
const topRefresh = rhumb.MeasureEvery

// topLive draws the rows until its user quits. After an error it goes on with the rows that it has.
func topLive(ctx context.Context, a *cli.App, c *client.Client, o topOptions) error {
	list, err := o.read(ctx, c)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	keys, restore, err := terminal.Keys(ctx, a.Stdin)
	if err != nil {
		return err
	}
	defer restore()
	picture := view.NewLive(a.Stdout)
	defer picture.Close()
	refresh := time.NewTicker(topRefresh)
	defer refresh.Stop()
	for at, failed := time.Now(), error(nil); ; {
		o.order(list)
		picture.Usages(o.head(at, failed), list, o.replicas(), topKeys)
		again := true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case key, ok := <-keys:
			var quit bool
			if again, quit = o.press(key); quit || !ok {
				return nil
			}
		case <-refresh.C:
		}
		if again {
			if fresh, err := o.read(ctx, c); err != nil {
				failed = err
			} else {
				list, at, failed = fresh, time.Now(), nil
			}
		}
	}
}

// head returns the line above the rows.
func (o *topOptions) head(at time.Time, failed error) string {
	head := fmt.Sprintf("rhumb top   %s   %ss by %s   %s", cmp.Or(o.stack, "all stacks"), o.by, o.sort,
		at.Format(time.TimeOnly))
	if failed != nil {
		head += "   " + view.OneLine(failed.Error())
	}
	return head
}
