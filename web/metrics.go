package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

// metricsView is the data of the page of metrics.
type metricsView struct {
	Stack    string
	Stacks   []string
	By       string // what the charts are split by: "release" or "service"
	Split    []choice
	Period   periodView
	Young    bool // there is data for a part of the usual time only
	Charts   []chartView
	Err      error // why there are no stacks
	Releases []int // in this time, newest first
	Compare  *comparison
	Compared string // the address of the comparison of the latest two releases
	Expr     string
	Free     *chartView // of Expr
}

// chartView is one chart of a page.
type chartView struct {
	Title, Note string
	Line        chart.Line
	Err         error
	Series      int
}

// figure is a chart of the page of metrics: an expression in which $s selects the stack, $w is a time to average over,
// and $by is what the result is split by.
type figure struct {
	title, note string
	unit        chart.Unit
	expr        string
	routed      bool // it is about requests; these are known by release only
}

const buckets = "sum by (le, release) (rate(rhumb_request_duration_seconds_bucket{$s}[$w]))"

var figureList = []figure{
	{"Requests", "a second", chart.PerSecond, "sum by (release) (rate(rhumb_requests_total{$s}[$w]))", true},
	{"Errors", "of all requests", chart.Ratio, "sum by (release) (rate(rhumb_request_errors_total{$s}[$w])) / " +
		"(sum by (release) (rate(rhumb_requests_total{$s}[$w])) > 0)", true},
	{"p50", "half of the answers take at most", chart.Seconds, "histogram_quantile(0.5, " + buckets + ")", true},
	{"p95", "95% of the answers take at most", chart.Seconds, "histogram_quantile(0.95, " + buckets + ")", true},
	{"CPU", "CPUs in use", chart.Number, "sum by ($by) (rate(rhumb_replica_cpu_seconds_total{$s}[$w]))", false},
	{"Memory", "in use, without what can be dropped", chart.Bytes,
		"sum by ($by) (rhumb_replica_memory_bytes{$s})", false},
	{"Network", "received and sent", chart.BytesPerSecond,
		"sum by ($by) (rate(rhumb_replica_network_received_bytes_total{$s}[$w]) + " +
			"rate(rhumb_replica_network_sent_bytes_total{$s}[$w]))", false},
	{"Disk", "read and written", chart.BytesPerSecond,
		"sum by ($by) (rate(rhumb_replica_disk_read_bytes_total{$s}[$w]) + " +
			"rate(rhumb_replica_disk_written_bytes_total{$s}[$w]))", false},
}

// filled returns the figure's expression.
func (f figure) filled(stack, by string, window time.Duration) string {
	if f.routed {
		by = "release"
	}
	return strings.NewReplacer("$s", "stack="+quoted(stack), "$w", promTime(window), "$by", by).Replace(f.expr)
}

// promTime returns a duration as PromQL writes it.
func promTime(d time.Duration) string { return strconv.Itoa(max(1, int(d.Seconds()))) + "s" }

const chartPoints = 120 // of a series

// metricsPage shows what is measured of one stack.
func metricsPage(s *server, r *http.Request) (view, error) {
	now, q := s.now(), r.URL.Query()
	p, err := periodOf(q, now, "1h")
	if err != nil {
		return view{}, err
	}
	v := metricsView{Stack: q.Get("stack"), By: "release", Expr: q.Get("expr")}
	if q.Get("by") == "service" {
		v.By = "service"
	}
	if len(v.Expr) > maxSearch {
		return view{}, rhumb.Errorf(rhumb.Invalid, "the expression is longer than %d bytes", maxSearch)
	}
	for _, by := range []string{"release", "service"} {
		v.Split = append(v.Split, choice{"by " + by, with(r, "by", by), by == v.By})
	}
	out := view{Title: "Metrics"}
	served := findStack(r.Context(), s, &v, &out, p)
	if chosen := q.Get("range") + q.Get("from") + q.Get("to"); chosen == "" {
		p, v.Young = fitting(p, served)
	}
	v.Period = p.seen(r, now)
	if v.Stack != "" {
		out.Title = "Metrics of " + v.Stack
	}
	measureStack(s, r, &v, p, served, &out)
	out.Page = v
	if p.Range != "" {
		out.Live = liveAt(v.Stack, max(4*rhumb.MeasureEvery, p.step(chartPoints)))
	}
	return out, nil
}

// findStack finds out which stacks there are, chooses one if the address names none, and returns when which of its
// releases served.
func findStack(ctx context.Context, s *server, v *metricsView, out *view, p period) []rhumb.Series {
	as := &answers{ctx: ctx}
	stacks := ask(as, s.Stacks.Stacks)
	served := askOver(s, as, "max by (stack) (rhumb_stack_release)", p)
	as.wait()
	names := map[string]bool{}
	for _, st := range stacks.Is {
		names[st.Name] = true
	}
	for _, sr := range served.Is {
		names[sr.Labels["stack"]] = true
	}
	delete(names, "")
	v.Stacks = slices.Sorted(maps.Keys(names))
	if v.Stack == "" && len(v.Stacks) > 0 {
		v.Stack = v.Stacks[0]
	}
	if len(v.Stacks) == 0 {
		v.Err = served.Err
	}
	if away(stacks.Err) {
		out.Away = stacks.Err
	}
	return slices.DeleteFunc(served.Is, func(sr rhumb.Series) bool { return sr.Labels["stack"] != v.Stack })
}

// fitting returns a period without the part in which nothing was measured yet, if that is most of it.
func fitting(p period, served []rhumb.Series) (period, bool) {
	var first time.Time
	for _, sr := range served {
		if len(sr.Points) > 0 && (first.IsZero() || sr.Points[0].Time.Before(first)) {
			first = sr.Points[0].Time
		}
	}
	if first.IsZero() || p.To.Sub(first) > p.length()/2 {
		return p, false
	}
	p.From = earlier(first, p.To.Add(-2*time.Minute))
	return p, true
}

// measureStack asks for all charts, and what belongs to them.
func measureStack(s *server, r *http.Request, v *metricsView, p period, served []rhumb.Series, out *view) {
	as := &answers{ctx: r.Context()}
	step := p.step(chartPoints)
	var free *answer[[]rhumb.Series]
	if v.Expr != "" {
		free = askOver(s, as, v.Expr, p)
	}
	var results []*answer[[]rhumb.Series]
	var compared *comparing
	deployments := &answer[[]rhumb.Deployment]{}
	if v.Stack != "" {
		deployments = ask(as, func(ctx context.Context) ([]rhumb.Deployment, error) {
			return s.History.Deployments(ctx, v.Stack, marksAsked)
		})
		for _, f := range figureList {
			results = append(results, askOver(s, as, f.filled(v.Stack, v.By, max(step, 4*rhumb.MeasureEvery)), p))
		}
		compared = askComparison(s, as, r.URL.Query().Get("compare"), v.Stack, p)
	}
	as.wait()
	marks := marksOf(deployments.Is, p.From)
	if deployments.Err != nil {
		marks = measuredMarks(served)
		if away(deployments.Err) {
			out.Away = deployments.Err
		}
	}
	base := chart.Line{From: p.From, To: p.To, Marks: marks, Gap: 4 * step, Zone: time.Local}
	current := lastRelease(served)
	for i, a := range results {
		f := figureList[i]
		by := v.By
		if f.routed {
			by = "release"
		}
		v.Charts = append(v.Charts, drawn(base, f.title, f.note, f.unit, a, by, current))
		v.releases(a.Is)
	}
	v.compare(r, compared, current)
	if free != nil {
		c := drawn(base, "Result", "", unitOf(v.Expr), free, labelOf(free.Is), current)
		v.Free = &c
	}
}

// askOver begins to evaluate an expression over a period.
func askOver(s *server, as *answers, expr string, p period) *answer[[]rhumb.Series] {
	q := rhumb.MetricQuery{Expr: expr, Since: p.From, Until: p.To, Step: p.step(chartPoints)}
	return ask(as, func(ctx context.Context) ([]rhumb.Series, error) { return s.Metrics.Query(ctx, q) })
}

// drawn returns an answer as a chart whose series are named by a label; "": by all of them.
func drawn(base chart.Line, title, note string, unit chart.Unit, a *answer[[]rhumb.Series], by string,
	current int) chartView {
	base.Title, base.Unit = strings.TrimSpace(title+" "+note), unit
	list := slices.Clone(a.Is)
	if by == "release" {
		slices.SortStableFunc(list, func(a, b rhumb.Series) int { return cmp.Compare(releaseOf(b), releaseOf(a)) })
	}
	older := 0
	for _, sr := range list {
		one := chart.Series{Name: nameOf(sr, by), Points: sr.Points}
		if by == "release" {
			one.Tone = chart.ToneOlder
			if n := releaseOf(sr); n == current || current == 0 && len(base.Series) == 0 {
				one.Tone = chart.ToneNew
			} else if older++; older == 1 {
				one.Tone = chart.ToneOld
			}
		}
		base.Series = append(base.Series, one)
	}
	return chartView{Title: title, Note: note, Line: base, Err: a.Err, Series: len(list)}
}

// labelOf returns the label by which series are named: the only one that they have, or "" for all of them.
func labelOf(list []rhumb.Series) string {
	label := ""
	for _, sr := range list {
		if len(sr.Labels) != 1 {
			return ""
		}
		for name := range sr.Labels {
			if name == "__name__" || label != "" && name != label {
				return ""
			}
			label = name
		}
	}
	return label
}

// unitOf guesses the unit of an expression's values from the names of its series, whose ends say what they count.
func unitOf(expr string) chart.Unit {
	has := func(part string) bool { return strings.Contains(expr, part) }
	rated := has("rate(")
	switch {
	case has("histogram_quantile"), has("_duration_seconds_sum") && has("/"):
		return chart.Seconds
	case has("_errors_total") && has("/"):
		return chart.Ratio
	case has("_bytes_total") && rated:
		return chart.BytesPerSecond
	case has("_bytes") && !has("/"):
		return chart.Bytes
	case has("_seconds_total"), has("/"):
		return chart.Number // CPUs, or a share
	case rated:
		return chart.PerSecond
	}
	return chart.Number
}

// nameOf returns the name of a series in a chart.
func nameOf(sr rhumb.Series, by string) string {
	if by == "release" {
		return "release " + sr.Labels["release"]
	} else if by != "" {
		return sr.Labels[by]
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(sr.Labels)) {
		if name != "__name__" {
			parts = append(parts, name+"="+sr.Labels[name])
		}
	}
	return cmp.Or(sr.Labels["__name__"]+" "+strings.Join(parts, ", "), "value")
}

func releaseOf(sr rhumb.Series) int {
	n, _ := strconv.Atoi(sr.Labels["release"]) // a series without a release sorts last
	return n
}

// lastRelease returns the release that served at last, as it was measured; 0: unknown.
func lastRelease(served []rhumb.Series) int {
	for _, sr := range served {
		if n := len(sr.Points); n > 0 {
			return int(sr.Points[n-1].Value)
		}
	}
	return 0
}

// releases adds the releases of series to those that can be compared.
func (v *metricsView) releases(list []rhumb.Series) {
	for _, sr := range list {
		if n := releaseOf(sr); n > 0 && !slices.Contains(v.Releases, n) {
			v.Releases = append(v.Releases, n)
		}
	}
	slices.SortFunc(v.Releases, func(a, b int) int { return cmp.Compare(b, a) })
}
