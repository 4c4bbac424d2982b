package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

func TestMetricsAreSplitByReleaseAndMarked(t *testing.T) {
	rec := get(t, observedWorld().server(), "/metrics?stack=shop")
	contains(t, rec, 200, "Requests", "p95", "CPU", "Memory", "Network", "Disk", "release 42", `class="line new"`,
		`class="line old"`, "converged: shop@42 serves", "data-zoom", "Compare releases")
	if n := strings.Count(rec.Body.String(), `<g class="mark">`); n != len(figureList) {
		t.Errorf("%d marks, want one in each of %d charts", n, len(figureList))
	}
	rec = get(t, observedWorld().server(), "/metrics?stack=shop&by=service")
	contains(t, rec, 200, "worker <b>")
}

func TestMetricsMarkReleasesWhileTheDaemonIsAway(t *testing.T) {
	rec := get(t, observedAway().server(), "/metrics?stack=shop")
	contains(t, rec, 200, "release 42 serves", "The daemon doesn't answer", `class="line new"`)
}

func TestOneAnswerThatFailsLeavesTheOthers(t *testing.T) {
	w := observedWorld()
	s := newServer(w.deps(), func() time.Time { return noon })
	s.Metrics = deaf{w, "rhumb_replica_memory"}
	rec := get(t, s, "/metrics?stack=shop")
	contains(t, rec, 200, "no memory today", "Requests", `class="line new"`)
}

// deaf answers no query that contains a text.
type deaf struct {
	*world
	about string
}

func (d deaf) Query(ctx context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	if strings.Contains(q.Expr, d.about) {
		return nil, rhumb.Errorf(rhumb.Unavailable, "no memory today")
	}
	return d.world.Query(ctx, q)
}

func TestAYoungServerShowsAFittingTime(t *testing.T) {
	w := observedWorld()
	old := w.metric
	w.metric = func(q rhumb.MetricQuery) []rhumb.Series {
		list := old(q)
		for i := range list {
			ps := list[i].Points
			for len(ps) > 0 && ps[0].Time.Before(noon.Add(-5*time.Minute)) {
				ps = ps[1:]
			}
			list[i].Points = ps
		}
		return list
	}
	contains(t, get(t, w.server(), "/metrics?stack=shop"), 200, "all that was measured so far", `data-from="1795866900"`)
	lacks(t, get(t, w.server(), "/metrics?stack=shop&range=1h"), "all that was measured so far")
}

func TestAnyExpressionIsDrawn(t *testing.T) {
	s := observedWorld().server()
	contains(t, get(t, s, "/metrics?stack=shop&expr=up"), 200, `value="up"`, `id="free"`)
	w := observedWorld()
	sv := newServer(w.deps(), func() time.Time { return noon })
	sv.Metrics = deaf{w, "sum("}
	contains(t, get(t, sv, "/metrics?stack=shop&expr=sum("), 200, `id="free"`, "no memory today", `class="line new"`)
	contains(t, get(t, s, "/metrics?expr="+strings.Repeat("x", maxSearch+1)), 400, "longer than")
}

func TestComparedReleasesStandSideBySide(t *testing.T) {
	rec := get(t, observedWorld().server(), "/metrics?stack=shop&compare=41-42")
	contains(t, rec, 200, "Release 41 and release 42", `<td class="bad">&#43;`, "CPU of a replica")
	if n := strings.Count(rec.Body.String(), `<td class="bad">`); n != 1 {
		t.Errorf("%d differences have a colour, want only that of p95", n)
	}
	lacks(t, get(t, observedWorld().server(), "/metrics?stack=shop&compare=x-y"), `class="compare"`)
}

func TestOnlyMuchWorseIsColoured(t *testing.T) {
	slow := measure{"p95", chart.Seconds, "", true}
	errs := measure{"Errors", chart.Ratio, "", true}
	for _, c := range []struct {
		m            measure
		old, new     float64
		tone, change string
	}{
		{slow, .1, .11, "", "+10\u00a0ms (+10%)"},
		{slow, .1, .2, "bad", "+100\u00a0ms (+100%)"},
		{slow, .2, .1, "ok", "−100\u00a0ms (-50%)"},
		{slow, .2, .2, "", "the same"},
		{errs, .0001, .0004, "", "+0.03%"},
		{errs, .0001, .02, "bad", "+1.99%"},
		{errs, 0, .02, "bad", "+2%"},
	} {
		row := c.m.row(map[string]float64{"1": c.old, "2": c.new}, "1", "2")
		if row.Tone != c.tone || row.Change != c.change {
			t.Errorf("%s from %v to %v: %q %q, want %q %q", c.m.name, c.old, c.new, row.Tone, row.Change, c.tone, c.change)
		}
	}
	if row := slow.row(map[string]float64{"1": 1}, "1", "2"); row.New != "–" || row.Change != "" {
		t.Errorf("an unknown figure is %q, %q", row.New, row.Change)
	}
}

func TestMetricsWithoutDataSaySo(t *testing.T) {
	contains(t, get(t, newWorld().server(), "/metrics"), 200, "Nothing is measured yet")
	contains(t, get(t, deafWorld().server(), "/metrics?stack=shop"), 200, "doesn&#39;t answer", "Not available now")
}

func TestUnitsFollowFromNames(t *testing.T) {
	for expr, want := range map[string]chart.Unit{
		"histogram_quantile(0.9, rate(x_bucket[1m]))":              chart.Seconds,
		"rate(rhumb_replica_network_sent_bytes_total[1m])":         chart.BytesPerSecond,
		"rhumb_replica_memory_bytes":                               chart.Bytes,
		"rate(rhumb_requests_total[1m])":                           chart.PerSecond,
		"rate(rhumb_request_errors_total[1m]) / rate(x_total[1m])": chart.Ratio,
		"rate(rhumb_replica_cpu_seconds_total[1m])":                chart.Number,
		"up": chart.Number,
	} {
		if got := unitOf(expr); got != want {
			t.Errorf("%s is in %d, want %d", expr, got, want)
		}
	}
}
