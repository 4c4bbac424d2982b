package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

// logsView is the data of the page of logs.
type logsView struct {
	Filter    logFilter
	Narrow    bool
	Period    periodView
	Stacks    []string
	Services  []string
	Releases  []int
	Levels    []string
	Histogram *chart.Bars // nil: there is none
	Rows      []logRow
	Lines     int // shown
	Total     int64
	Dropped   int64
	Err       error // why there are no lines
	CountsErr error // why there is no histogram
	Older     string
	Live      string // the address of the stream of new lines; "": the page isn't live
	Follow    string // the address of the live page
	Still     string // the address of the page that isn't
	Share     string
	Download  string
}

// logsPage shows lines that were kept.
func logsPage(s *server, r *http.Request) (view, error) {
	now := s.now()
	f, err := logFilterOf(r, now)
	if err != nil {
		return view{}, err
	}
	as := &answers{ctx: r.Context()}
	lines := ask(as, func(ctx context.Context) ([]rhumb.LogLine, error) { return lastLines(ctx, s, f) })
	counts := askCounts(s, as, f)
	names := ask(as, s.Stacks.Stacks)
	deployments := ask(as, func(ctx context.Context) ([]rhumb.Deployment, error) {
		if f.Stack == "" {
			return nil, nil
		}
		return s.History.Deployments(ctx, f.Stack, marksAsked)
	})
	as.wait()
	lines.Err = kept(lines.Err)
	v := logsView{Filter: f, Narrow: f.narrow(), Period: f.seen(r, now), Levels: rhumb.LevelNames(), Err: lines.Err,
		Share: f.address("/logs"), Download: f.address("/logs/download")}
	v.choices(counts, names.Is)
	v.histogram(r, counts, marksOf(deployments.Is, f.From))
	v.fill(lines.Is)
	live := r.URL.Query().Get("live") != ""
	v.Follow, v.Still = with(r, "live", "1", "from", "", "to", ""), with(r, "live", "")
	if live && f.Range != "" {
		from := after(now)
		if n := len(lines.Is); n > 0 {
			from = after(lines.Is[n-1].Time)
		}
		v.Live = f.address("/logs/live", "from", from, "to", "")
	}
	out := view{Title: "Logs", Page: v}
	if f.Stack != "" {
		out.Title = "Logs of " + f.Stack
	}
	if away(names.Err) {
		out.Away = names.Err
	}
	return out, nil
}

// kept returns the error of a search, unless it only says that nothing is kept of the stack.
func kept(err error) error {
	if rhumb.ErrorCode(err) == rhumb.NotFound {
		return nil
	}
	return err
}

// lastLines returns the last lines of a filter, and one more than a page shows.
func lastLines(ctx context.Context, s *server, f logFilter) ([]rhumb.LogLine, error) {
	q := f.query()
	q.Tail = maxLines + 1
	return collectLines(ctx, s, q, maxLines+1)
}

// collectLines returns the first lines of a query.
func collectLines(ctx context.Context, s *server, q rhumb.LogQuery, most int) ([]rhumb.LogLine, error) {
	var lines []rhumb.LogLine
	for l, err := range s.Observer.Lines(ctx, q) {
		if err != nil {
			return lines, err
		}
		if lines = append(lines, l); len(lines) >= most {
			break
		}
	}
	return lines, nil
}

// fill sets the rows. What doesn't fit is behind a link to older lines.
func (v *logsView) fill(lines []rhumb.LogLine) {
	if more := len(lines) - maxLines; more > 0 {
		lines = lines[more:]
		f := v.Filter
		f.To = lines[0].Time.Add(-time.Nanosecond)
		f.From = f.From.Add(-time.Nanosecond)
		v.Older = f.address("/logs", "to", f.To.UTC().Format(time.RFC3339Nano))
	}
	n := newLiner(&v.Filter)
	for i := range lines {
		v.Rows = append(v.Rows, n.rows(&lines[i])...)
	}
	v.Lines = len(lines)
}

// logCounts are the counts of lines that a page of logs asks for.
type logCounts struct {
	all      *answer[[]rhumb.LogCount] // that the filter chooses
	warnings *answer[[]rhumb.LogCount] // those of them of a level of at least warn
	errors   *answer[[]rhumb.LogCount]
	known    *answer[[]rhumb.LogCount] // of all that the filter could choose
}

// askCounts begins to count the lines that a filter chooses.
func askCounts(s *server, as *answers, f logFilter) logCounts {
	count := func(f logFilter, least rhumb.Level) *answer[[]rhumb.LogCount] {
		q := f.query()
		q.Level = max(q.Level, least)
		return ask(as, func(ctx context.Context) ([]rhumb.LogCount, error) { return s.Observer.LogCounts(ctx, q) })
	}
	c := logCounts{all: count(f, 0), warnings: count(f, rhumb.LevelWarn), errors: count(f, rhumb.LevelError)}
	c.known = c.all
	if f.narrow() {
		c.known = count(logFilter{Stack: f.Stack, period: f.period}, 0)
	}
	return c
}

// choices sets what can be chosen: what has lines in this time, and what is chosen already.
func (v *logsView) choices(c logCounts, stacks []rhumb.StackInfo) {
	names, services, releases := map[string]bool{}, map[string]bool{}, map[int]bool{}
	for _, st := range stacks {
		names[st.Name] = true
		for _, svc := range st.Services {
			if st.Name == v.Filter.Stack {
				services[svc.Name] = true
			}
		}
	}
	for _, n := range c.known.Is {
		names[n.Stack] = true
		if v.Filter.Stack != "" {
			services[n.Service], releases[n.Release] = true, true
		}
	}
	names[v.Filter.Stack], services[v.Filter.Service], releases[v.Filter.Release] = true, true, true
	delete(names, "")
	delete(services, "")
	delete(releases, 0)
	v.Stacks, v.Services = slices.Sorted(maps.Keys(names)), slices.Sorted(maps.Keys(services))
	v.Releases = slices.Sorted(maps.Keys(releases))
	slices.Reverse(v.Releases)
}

// histogram sets the histogram and the totals.
func (v *logsView) histogram(r *http.Request, c logCounts, marks []chart.Mark) {
	v.CountsErr = cmp.Or(kept(c.all.Err), kept(c.warnings.Err), kept(c.errors.Err))
	for _, n := range c.all.Is {
		v.Total += n.Lines
		v.Dropped += n.Dropped
	}
	if v.CountsErr != nil || v.Total == 0 {
		return
	}
	step := time.Second
	for _, list := range [][]rhumb.LogCount{c.all.Is, c.warnings.Is, c.errors.Is} {
		for _, n := range list {
			step = max(step, n.Step)
		}
	}
	for v.Filter.length()/step > 120 {
		step *= 2
	}
	b := chart.Bars{Title: "Lines over time, by level", Start: v.Filter.From.UTC().Truncate(step), Step: step,
		Marks: marks, Zone: time.Local, Link: func(from, to time.Time) string { return between(r, from, to) }}
	n := int(v.Filter.To.Sub(b.Start)/step) + 1
	all, warnings, errs := spread(c.all.Is, b, n), spread(c.warnings.Is, b, n), spread(c.errors.Is, b, n)
	for i := range n {
		all[i] = max(0, all[i]-warnings[i])
		warnings[i] = max(0, warnings[i]-errs[i])
	}
	b.Kinds = []chart.Kind{{Name: "errors", Tone: chart.ToneBad, Counts: errs},
		{Name: "warnings", Tone: chart.ToneWarn, Counts: warnings}, {Name: "others", Tone: chart.ToneOld, Counts: all}}
	v.Histogram = &b
}

// spread adds bars of any width up to the histogram's to its n bars.
func spread(counts []rhumb.LogCount, b chart.Bars, n int) []int64 {
	sums := make([]int64, n)
	for _, c := range counts {
		for i, lines := range c.Bars {
			at := c.Start.Add(time.Duration(i)*c.Step).Sub(b.Start) / b.Step
			sums[max(0, min(n-1, int(at)))] += lines
		}
	}
	return sums
}

// contextLines is how many lines before and after one its context has.
const contextLines = 60

// contextView is the data of the page of the lines around one.
type contextView struct {
	Rows   []logRow
	From   string
	At     time.Time
	Search string // the address of the search around that time
	Err    error
}

// contextPage shows the lines that the same container wrote before and after one.
func contextPage(s *server, r *http.Request) (view, error) {
	p := r.URL.Query()
	nanos, err := strconv.ParseInt(p.Get("at"), 36, 64)
	if err != nil {
		return view{}, rhumb.Errorf(rhumb.Invalid, "the address names no line").WithHint("choose a line on the page of logs")
	}
	q := rhumb.LogQuery{Stack: p.Get("stack"), Replica: p.Get("c")}
	if q.Replica == "" {
		kind, err := rhumb.ParseLineKind(p.Get("kind"))
		if err != nil {
			return view{}, err
		}
		q.Services, q.Kinds = []string{p.Get("service")}, []rhumb.LineKind{kind}
	}
	at := time.Unix(0, nanos)
	before, after := q, q
	before.Until, before.Tail = at, contextLines+1
	after.Since, after.Until = at.Add(1), at.Add(24*time.Hour)
	as := &answers{ctx: r.Context()}
	askLines := func(q rhumb.LogQuery, most int) *answer[[]rhumb.LogLine] {
		return ask(as, func(ctx context.Context) ([]rhumb.LogLine, error) { return collectLines(ctx, s, q, most) })
	}
	first, then := askLines(before, contextLines+1), askLines(after, contextLines)
	as.wait()
	v := contextView{At: at, Err: cmp.Or(kept(first.Err), kept(then.Err))}
	n := newLiner(&logFilter{Stack: q.Stack})
	for _, l := range slices.Concat(first.Is, then.Is) {
		here := l.Time.Equal(at) && v.From == ""
		n.fold = foldBytes
		if here {
			n.fold, n.budget = wholeBytes, n.budget+wholeBytes
			v.From = writerOf(&l, true)
		}
		rows := n.rows(&l)
		rows[len(rows)-1].Here = here
		v.Rows = append(v.Rows, rows...)
	}
	f := logFilter{Stack: q.Stack, period: period{From: at.Add(-5 * time.Minute), To: at.Add(5 * time.Minute)}}
	v.Search = f.address("/logs")
	return view{Title: "Around a line", Here: "/logs", Page: v}, nil
}
