package look

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
	"rhumb/internal/pause"
)

// logPrinter prints log lines, and between them how deployments ended.
type logPrinter struct {
	app    *cli.App
	o      logsOptions
	client *client.Client
	stack  rhumb.StackInfo // as it stands; zero: it isn't deployed
	failed error           // of the request for stack
	log    *view.Log
	groups logGroups
	cancel context.CancelFunc
	follow sync.WaitGroup

	mu    sync.Mutex
	ended []rhumb.Deployment // those still to be printed, oldest first
	lines int                // that were printed
}

// newLogPrinter returns a printer, which must be stopped. It aligns the names of the replicas that exist now; names of
// other replicas may be longer.
func newLogPrinter(ctx context.Context, a *cli.App, c *client.Client, o logsOptions) *logPrinter {
	p := &logPrinter{app: a, o: o, client: c, log: &view.Log{W: a.RawOut, Bare: o.noPrefix, Times: o.times}}
	p.groups = logGroups{o: o, open: map[string]*logGroup{}}
	if ctx, p.cancel = context.WithCancel(ctx); o.query.Stack == "" {
		return p
	}
	p.stack, p.failed = c.Status(ctx, o.query.Stack)
	for _, svc := range p.stack.Services {
		for _, r := range svc.Slots {
			if len(o.query.Services) == 0 || slices.Contains(o.query.Services, svc.Name) {
				p.log.Expect(o.query.Stack, r.Name)
			}
		}
	}
	if !a.JSON() && !a.Raw() && !o.noPrefix {
		p.deployments(ctx)
	}
	return p
}

// deployments reads the deployments that have ended, and with --follow waits for more. Lines are more important than
// deployments: an error leaves these out.
func (p *logPrinter) deployments(ctx context.Context) {
	since := time.Now()
	ds, err := p.client.Deployments(ctx, p.o.query.Stack, 0)
	if err != nil {
		return
	}
	known := map[int64]bool{}
	for _, d := range slices.Backward(ds) {
		if d.Phase.Ended() {
			known[d.ID] = true
			p.ended = append(p.ended, d)
		}
	}
	slices.SortStableFunc(p.ended, func(a, b rhumb.Deployment) int { return a.Ended.Compare(b.Ended) })
	if p.o.query.Follow {
		p.follow.Go(func() { p.watch(ctx, since, known) })
	}
}

// watch prints how deployments end, until ctx ends.
func (p *logPrinter) watch(ctx context.Context, since time.Time, known map[int64]bool) {
	f := rhumb.EventFilter{Stack: p.o.query.Stack, Since: since, Follow: true}
	for {
		for e, err := range p.client.Events(ctx, f) {
			if err != nil {
				break
			}
			f.After = max(f.After, e.ID)
			if e.Kind != rhumb.EventDeployment || !e.Phase.Ended() || known[e.Deployment] {
				continue
			}
			known[e.Deployment] = true
			if d, err := p.client.Deployment(ctx, e.Stack, e.Deployment); err == nil {
				p.mu.Lock()
				_ = p.log.Deployment(d) // the next line reports a failed write
				p.mu.Unlock()
			}
		}
		if !pause.For(ctx, time.Second) {
			return
		}
	}
}

// stop stops waiting for deployments.
func (p *logPrinter) stop() {
	p.cancel()
	p.follow.Wait()
}

// note reports that only the lines of replicas that exist are shown. A server that answers nothing at all has another
// problem.
func (p *logPrinter) note(why error) {
	if rhumb.ErrorCode(p.failed) != rhumb.Unavailable {
		view.Warning(p.app.Stderr, rhumb.Note{Subject: "only lines of replicas that exist are shown", Why: why.Error()})
	}
}

// line prints a line, and before it how deployments ended since the line before.
func (p *logPrinter) line(l rhumb.LogLine) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.lines++ }()
	switch {
	case p.app.JSON():
		return view.Line(p.app.Stdout, l)
	case p.app.Raw():
		_, err := io.WriteString(p.app.RawOut, l.Text+"\n")
		return err
	}
	for len(p.ended) > 0 && !p.ended[0].Ended.After(l.Time) {
		if p.lines > 0 {
			if err := p.log.Deployment(p.ended[0]); err != nil {
				return err
			}
		}
		p.ended = p.ended[1:]
	}
	if p.groups.begins(l) && p.lines > 0 {
		if err := p.log.Between(); err != nil {
			return err
		}
	}
	return p.log.Write(l)
}

// missing returns NotFound if no line was printed because the stack has no such service.
func (p *logPrinter) missing() error {
	if p.lines > 0 || p.failed != nil || p.o.query.Stack == "" {
		return nil
	}
	_, err := only(p.stack, p.o.query.Services, false)
	return err
}

// logGroups finds the groups of lines around the lines that match --grep. Lines of one group follow each other in what
// one replica wrote.
type logGroups struct {
	o    logsOptions
	open map[string]*logGroup // by replica and container
}

// logGroup is the current group of a replica.
type logGroup struct {
	matched bool // a line of it has matched
	after   int  // how many lines of it may follow
}

// begins reports whether a line begins a group.
func (g *logGroups) begins(l rhumb.LogLine) bool {
	if g.o.query.Around == 0 {
		return false
	}
	key := fmt.Sprintf("%s/%s", l.Replica, l.Container)
	group := g.open[key]
	match := g.o.match.MatchString(l.Text)
	first := group == nil || group.matched && group.after == 0
	if first {
		group = &logGroup{}
		g.open[key] = group
	}
	switch {
	case match:
		group.matched, group.after = true, g.o.query.Around
	case group.matched:
		group.after--
	}
	return first
}
