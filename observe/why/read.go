package why

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"rhumb"
)

// Bounds of what one explanation reads.
const (
	maxSeries = 500    // of one signal
	maxEvents = 5_000  // the newest
	maxLines  = 50_000 // the newest, in each of four queries
	maxPoints = 1440   // of one series
	maxText   = 8 << 10
)

// records are all that an explanation is made of.
type records struct {
	q       rhumb.WhyQuery
	usual   time.Duration // the time before the chosen one that says what is usual
	step    time.Duration
	over    time.Duration // over which rates are taken
	series  [signals][]series
	events  []event // oldest first
	own     []rhumb.LogLine
	lines   map[key]*patterns
	missing []string
}

// series are the points of a signal for a key.
type series struct {
	key
	points []rhumb.Point
}

// event is what the daemon has announced.
type event struct {
	at         time.Time
	Kind       rhumb.EventKind `json:"kind"`
	Msg        string          `json:"msg"`
	Stack      string          `json:"stack"`
	Service    string          `json:"service"`
	Release    int             `json:"release"`
	Replica    string          `json:"replica"`
	Deployment int64           `json:"deployment"`
	Phase      rhumb.Phase     `json:"phase"`
	By         string          `json:"by"`
	Failure    *rhumb.Failure  `json:"failure"`
}

// read reads all records. What can't be read is missing; only a stack or a service that is known nowhere is an error.
func (e *Explainer) read(ctx context.Context, q rhumb.WhyQuery) (*records, error) {
	r := &records{q: q, lines: map[key]*patterns{}}
	r.usual = max(usual, q.Until.Sub(q.Since)/24)
	r.step = max(finest, ((q.Until.Sub(q.Since) + r.usual) / maxPoints).Round(finest))
	r.over = max(time.Minute, 2*r.step)
	e.readSeries(ctx, r)
	e.readEvents(ctx, r)
	e.readOwn(ctx, r)
	e.readLines(ctx, r)
	if e.deps.Standings == nil {
		r.miss("how the stacks stand", nil)
	}
	if q.Stack != "" && !e.known(r) {
		if q.Service != "" {
			return nil, rhumb.Errorf(rhumb.NotFound, "nothing is known of service %s of stack %s", q.Service, q.Stack).
				WithHint("rhumb ls lists the stacks, rhumb status -p %s its services", q.Stack)
		}
		return nil, rhumb.Errorf(rhumb.NotFound, "nothing is known of stack %s", q.Stack).
			WithHint("rhumb ls lists the stacks")
	}
	if len(r.missing) > 0 && r.empty() {
		return nil, rhumb.Errorf(rhumb.Unavailable, "nothing can be read: %s", r.missing[0])
	}
	return r, nil
}

// miss records that something could not be read.
func (r *records) miss(what string, err error) {
	text := what
	switch rhumb.ErrorCode(err) {
	case rhumb.NotFound:
		return
	default:
		if err != nil {
			text += ": " + err.Error()
		}
	}
	if !slices.Contains(r.missing, text) && len(r.missing) < 10 {
		r.missing = append(r.missing, text)
	}
}

// empty reports whether there is nothing at all.
func (r *records) empty() bool {
	for _, s := range r.series {
		if len(s) > 0 {
			return false
		}
	}
	return len(r.events)+len(r.own)+len(r.lines) == 0
}

// known reports whether anything is known of the stack, and of the service if one is chosen.
func (e *Explainer) known(r *records) bool {
	here := func(stack, service string) bool {
		return stack == r.q.Stack && (r.q.Service == "" || service == r.q.Service)
	}
	for _, all := range r.series {
		if slices.ContainsFunc(all, func(s series) bool { return here(s.stack, s.service) }) {
			return true
		}
	}
	if slices.ContainsFunc(r.events, func(ev event) bool { return here(ev.Stack, ev.Service) }) {
		return true
	}
	for k := range r.lines {
		if here(k.stack, k.service) {
			return true
		}
	}
	if e.deps.Standings == nil {
		return false
	}
	info, at := e.deps.Standings.Stack(r.q.Stack)
	return !at.IsZero() && (r.q.Service == "" ||
		slices.ContainsFunc(info.Services, func(s rhumb.ServiceStatus) bool { return s.Name == r.q.Service }))
}

// readSeries evaluates the expressions of all signals.
func (e *Explainer) readSeries(ctx context.Context, r *records) {
	if e.deps.Metrics == nil {
		r.miss("the series: nothing measures", nil)
		return
	}
	for s := range signals {
		found, err := e.deps.Metrics.Query(ctx, rhumb.MetricQuery{Expr: s.expr(r.q.Stack, r.over),
			Since: r.q.Since.Add(-r.usual), Until: r.q.Until, Step: r.step})
		if err != nil {
			r.miss("series", err)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		if len(found) > maxSeries {
			r.miss(fmt.Sprintf("%d of %d series; choose a stack", len(found)-maxSeries, len(found)), nil)
			found = found[:maxSeries]
		}
		for _, f := range found {
			if len(f.Points) > 0 {
				r.series[s] = append(r.series[s], series{keyOf(f.Labels), f.Points})
			}
		}
		slices.SortStableFunc(r.series[s], func(a, b series) int { return a.compare(b.key) })
	}
}

// readEvents reads what the daemon has announced.
func (e *Explainer) readEvents(ctx context.Context, r *records) {
	q := rhumb.LogQuery{Stack: r.q.Stack, Kinds: []rhumb.LineKind{rhumb.LineEvent}}
	q.Since, q.Until, q.Tail = r.q.Since.Add(-r.usual), r.q.Until, maxEvents
	e.each(ctx, r, "events", q, func(l *rhumb.LogLine) {
		if ev, ok := eventOf(l); ok {
			r.events = append(r.events, ev)
		}
	})
	if len(r.events) == 0 {
		r.events = e.standing(r)
	}
}

// standing returns the last deployments that the daemon has told of, as events.
func (e *Explainer) standing(r *records) []event {
	if e.deps.Standings == nil {
		return nil
	}
	var events []event
	for _, info := range e.deps.Standings.All() {
		d := info.Deployment
		if d == nil || r.q.Stack != "" && info.Name != r.q.Stack || d.Started.Before(r.q.Since.Add(-r.usual)) ||
			d.Started.After(r.q.Until) {
			continue
		}
		ev := event{at: d.Started, Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Release: d.To,
			Phase: rhumb.PhaseRolling, By: d.By, Msg: fmt.Sprintf("%s: release %d to release %d", d.Cause, d.From, d.To)}
		events = append(events, ev)
		if d.Phase.Ended() {
			ev.at, ev.Phase, ev.Msg = d.Ended, d.Phase, d.Verdict().Text
			events = append(events, ev)
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	return events
}

// readOwn reads what the daemon and the proxy have logged about themselves.
func (e *Explainer) readOwn(ctx context.Context, r *records) {
	q := rhumb.LogQuery{Kinds: []rhumb.LineKind{rhumb.LineDaemon, rhumb.LineProxy}}
	q.Since, q.Until, q.Tail = r.q.Since.Add(-lead), r.q.Until, maxEvents
	e.each(ctx, r, "the logs of rhumb itself", q, func(l *rhumb.LogLine) { r.own = append(r.own, *l) })
}

// each calls take for each line that a query chooses.
func (e *Explainer) each(ctx context.Context, r *records, what string, q rhumb.LogQuery, take func(*rhumb.LogLine)) {
	if e.deps.Lines == nil {
		r.miss("log lines: nothing keeps them", nil)
		return
	}
	n := 0
	for l, err := range e.deps.Lines.Lines(ctx, q) {
		if err != nil {
			r.miss(what, err)
			return
		}
		if n++; n > q.Tail {
			return
		}
		take(&l)
	}
}

// eventOf reads an event's line: its text is the event in JSON, and its fields are those of that text.
func eventOf(l *rhumb.LogLine) (event, bool) {
	var ev event
	if l.Cut == 0 && json.Unmarshal([]byte(l.Text), &ev) == nil && ev.Kind != "" {
		ev.at, ev.Stack = l.Time, cmp.Or(l.Stack, ev.Stack)
		return ev, true
	}
	f := l.Fields
	ev = event{at: l.Time, Kind: rhumb.EventKind(f["kind"]), Msg: f["msg"], Stack: cmp.Or(l.Stack, f["stack"]),
		Service: cmp.Or(l.Service, f["service"]), Replica: cmp.Or(l.Replica, f["replica"]), Release: l.Release,
		Phase: rhumb.Phase(f["phase"]), By: f["by"]}
	ev.Deployment, _ = strconv.ParseInt(f["deployment"], 10, 64)
	if ev.Release == 0 {
		ev.Release, _ = strconv.Atoi(f["release"])
	}
	if f["failure.Reason"] != "" {
		ev.Failure = &rhumb.Failure{At: l.Time, Reason: f["failure.Reason"], OOM: f["failure.OOM"] == "true",
			Ended: f["failure.Ended"] == "true"}
		ev.Failure.ExitCode, _ = strconv.Atoi(f["failure.ExitCode"])
	}
	return ev, ev.Kind != ""
}
