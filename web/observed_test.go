package web

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// served is when release 42 began to serve in observedWorld.
var served = noon.Add(-24 * time.Minute)

// observedWorld is shopWorld with an hour of logs and metrics, in which release 42 was deployed, and what it broke.
func observedWorld() *world {
	w := shopWorld()
	w.deployed[0].Started, w.deployed[0].Ended = served.Add(-74*time.Second), served
	w.metric = observedMetrics
	w.append(observedLines())
	w.alerts = []rhumb.Alert{
		{ID: "a1", Rule: "HighLatency", Severity: rhumb.SeverityCritical, State: rhumb.AlertFiring, Stack: "shop",
			Service: "api", Since: served.Add(2 * time.Minute), Fired: served.Add(7 * time.Minute), Release: 42,
			Deployment: 812, Text: "95% of the answers of api take up to 840 ms", Value: .84},
		{ID: "a2", Rule: "CertificateExpires", Severity: rhumb.SeverityWarning, State: rhumb.AlertFiring,
			Since: noon.Add(-26 * time.Hour), Fired: noon.Add(-26 * time.Hour), Silence: "s0",
			Text: "the certificate of shop.example.com expires in 9 days, and wasn't renewed"},
		{ID: "a3", Rule: "Unhealthy", Severity: rhumb.SeverityCritical, State: rhumb.AlertPending, Stack: "shop",
			Service: "web", Replica: "shop-web.42.1", Since: noon.Add(-20 * time.Second), Inhibited: true,
			Text: "shop-web.42.1 fails its check"},
		{ID: "a4", Rule: "DiskFull", Severity: rhumb.SeverityWarning, State: rhumb.AlertResolved,
			Since: noon.Add(-9 * time.Hour), Resolved: noon.Add(-8 * time.Hour), Text: "/var/lib/docker was 87% full"},
	}
	w.silences = []rhumb.Silence{{ID: "s0", Rule: "CertificateExpires", Until: noon.Add(20 * time.Hour), By: "ana",
		Why: "the registrar mends its name servers", Made: noon.Add(-time.Hour)}}
	w.receivers = []rhumb.AlertReceiver{
		{URL: "https://hooks.example.com/services/…", Sent: noon.Add(-17 * time.Minute)},
		{URL: "smtp://mail.example.com:587", Sent: noon.Add(-30 * time.Hour), ErrorAt: noon.Add(-17 * time.Minute),
			LastError: "dial tcp 192.0.2.7:587: i/o timeout"},
	}
	w.rules = []rhumb.AlertRule{
		{Name: "CrashLoop", Expr: "increase(rhumb_service_restarts_total[10m]) > 3", Severity: rhumb.SeverityCritical,
			Keep: 5 * time.Minute, Text: "{{service}} crashes"},
		{Name: "HighLatency", Stack: "shop", At: "compose.yaml:31", For: 5 * time.Minute, Severity: rhumb.SeverityCritical,
			Expr: "histogram_quantile(0.95, sum by (le, service) (rate(rhumb_request_duration_seconds_bucket[5m]))) > 0.5"},
		{Name: "Unhealthy", Expr: "rhumb_replica_unhealthy == 1", For: time.Minute, Severity: rhumb.SeverityCritical,
			Replicas: true},
		{Name: "DiskFull", Expr: "1 - rhumb_node_disk_available_bytes / rhumb_node_disk_bytes > 0.85", Off: true,
			Stack: "blog", Severity: rhumb.SeverityWarning},
	}
	w.why = observedWhy()
	return w
}

func observedWhy() rhumb.Explanation {
	release := rhumb.Happening{Kind: rhumb.HappenedRelease, At: served, Stack: "shop", Release: 42,
		Text: "release 42 of shop began to serve (image of api, environment DB_POOL)"}
	traffic := rhumb.Happening{Kind: rhumb.HappenedTraffic, At: served.Add(-9 * time.Minute), Stack: "shop",
		Service: "web", Text: "requests to web rose from 31/s to 44/s"}
	return rhumb.Explanation{Since: noon.Add(-time.Hour), Until: noon,
		Causes: []rhumb.WhyCause{{Happening: release, Evidence: []rhumb.Evidence{
			{At: served.Add(time.Minute), Text: "p95 of api: 38 ms before, 840 ms since 11:37", Expr: "sum by (release) (p95)",
				Was: .038, Is: .84},
			{At: served.Add(time.Minute), Text: "new in the logs of api: slow query: SELECT … FROM orders (212 times)"},
		}}, {Happening: traffic}},
		Happened: []rhumb.Happening{
			{Kind: rhumb.HappenedRestart, At: noon.Add(-50 * time.Minute), Stack: "shop", Service: "worker",
				Text: "ana restarted worker"}, traffic, release,
			{Kind: rhumb.HappenedOOM, At: noon.Add(-4 * time.Minute), Stack: "shop", Service: "worker",
				Text: "the kernel killed shop-worker.42.2 for its memory"}},
		Missing: []string{"the log lines of blog could not be read"},
	}
}

// append adds lines to the world's logs.
func (w *world) append(lines []rhumb.LogLine) {
	if n, err := w.logs.Append(context.Background(), lines); n != len(lines) {
		panic(err)
	}
}

// observedLines are an hour of lines of shop.
func observedLines() []rhumb.LogLine {
	var lines []rhumb.LogLine
	for i := range 720 {
		at := noon.Add(time.Duration(i-720) * 5 * time.Second).Add(time.Duration(i*137%1000) * time.Millisecond)
		release := 41
		if at.After(served) {
			release = 42
		}
		l := rhumb.LogLine{Time: at, Stack: "shop", Service: "api", Release: release, Level: rhumb.LevelInfo,
			Text: fmt.Sprintf("INFO  GET /items/%d 200 %dms", i%97, 9+i%31)}
		switch {
		case i%4 == 1:
			l.Service, l.Level = "web", rhumb.LevelUnknown
			l.Text = fmt.Sprintf(`10.0.3.%d "GET /cart?id=%d HTTP/1.1" 200 1843 "-" "Mozilla/5.0 (X11; Linux x86_64)"`, i%40, i)
		case i%9 == 2 && release == 42:
			l.Level = rhumb.LevelWarn
			l.Text = fmt.Sprintf("WARN  slow query: SELECT * FROM orders WHERE note = $1 (%d ms)", 200+i%77)
		case i%31 == 7 && release == 42:
			l.Level = rhumb.LevelError
			l.Text = "ERROR cart 8812: timeout from payment provider\nTraceback (most recent call last):\n" +
				strings.Repeat("  File \"/app/cart.py\", line 88, in pay\n    provider.charge(cart)\n", 7) + "TimeoutError: 3.0 s"
		case i%23 == 5:
			l.Service, l.Level, l.Text = "worker", rhumb.LevelDebug, "DEBUG \x1b[32mtask\x1b[0m digest.enqueue done in 0.4s"
		case i%97 == 11:
			l.Text = `{"level":"info","msg":"cart","items":[` + strings.Repeat(`{"sku":"A-1009","n":1},`, 40) + `{}]}`
		}
		l.Replica = rhumb.ReplicaName("shop", l.Service, release, 1+i%2)
		l.Container = strings.Repeat(fmt.Sprintf("%x", (i%2+release)%16), 64)
		lines = append(lines, l)
	}
	return lines
}

// observedContext is the address of the lines around one.
var observedContext = contextOf(&observedLines()[600])

// observedMetrics answers with figures by release, from both sides of a deployment.
func observedMetrics(q rhumb.MetricQuery) []rhumb.Series {
	q = q.Range(noon)
	switch {
	case strings.HasPrefix(q.Expr, "{__name__"):
		return nodeMetrics(q)
	case strings.Contains(q.Expr, "rhumb_node_cpu"):
		return []rhumb.Series{{Points: []rhumb.Point{{Time: q.Until, Value: .34}}}}
	case strings.Contains(q.Expr, "by (stack, service, release, replica)"):
		return replicaMetrics(q)
	case strings.Contains(q.Expr, "rhumb_stack_release"):
		return []rhumb.Series{seriesOf(q, map[string]string{"stack": "shop"}, time.Time{}, noon, func(t time.Time) float64 {
			return 41 + float64(b2i(!t.Before(served)))
		}), seriesOf(q, map[string]string{"stack": "blog"}, time.Time{}, noon, func(time.Time) float64 { return 7 })}
	case strings.Contains(q.Expr, "release)"):
		return []rhumb.Series{releaseMetrics(q, 41, time.Time{}, served),
			releaseMetrics(q, 42, served.Add(-time.Minute), noon)}
	}
	return shopMetrics(q)
}

func releaseMetrics(q rhumb.MetricQuery, release int, from, to time.Time) rhumb.Series {
	scale := map[bool]float64{false: 1, true: 1.2}[release == 42]
	size := 43.0
	switch {
	case strings.Contains(q.Expr, "quantile(0.5"):
		size = .011
	case strings.Contains(q.Expr, "0.95") || strings.Contains(q.Expr, "p95"):
		size, scale = .038, map[bool]float64{false: 1, true: 9}[release == 42]
	case strings.Contains(q.Expr, "errors"):
		size, scale = .0002, map[bool]float64{false: 1, true: 2}[release == 42]
	case strings.Contains(q.Expr, "memory"):
		size = 6.1e8
	case strings.Contains(q.Expr, "cpu"):
		size = .41
	case strings.Contains(q.Expr, "bytes"):
		size = 340e3
	case strings.Contains(q.Expr, "increase"):
		size = 61_204
	}
	return seriesOf(q, map[string]string{"release": strconv.Itoa(release)}, from, to, func(t time.Time) float64 {
		return size * scale * (1 + .2*math.Sin(float64(t.Unix())/900) + .06*math.Sin(float64(t.Unix())))
	})
}

// seriesOf returns a series of a query that has points within a time only.
func seriesOf(q rhumb.MetricQuery, labels map[string]string, from, to time.Time,
	value func(time.Time) float64) rhumb.Series {
	sr := rhumb.Series{Labels: labels}
	if q.Since.IsZero() {
		return rhumb.Series{Labels: labels, Points: []rhumb.Point{{Time: q.Until, Value: value(q.Until)}}}
	}
	for t := q.Since; !t.After(q.Until); t = t.Add(q.Step) {
		if !t.Before(from) && !t.After(to) {
			sr.Points = append(sr.Points, rhumb.Point{Time: t, Value: value(t)})
		}
	}
	return sr
}

func nodeMetrics(q rhumb.MetricQuery) []rhumb.Series {
	var list []rhumb.Series
	add := func(name, path string, v float64) {
		sr := rhumb.Series{Labels: map[string]string{"__name__": "rhumb_node_" + name},
			Points: []rhumb.Point{{Time: q.Until, Value: v}}}
		if path != "" {
			sr.Labels["path"] = path
		}
		list = append(list, sr)
	}
	add("cpus", "", 8)
	add("load1", "", 2.31)
	add("boot_seconds", "", float64(noon.Add(-41*24*time.Hour).Unix()))
	add("memory_bytes", "", 16.6e9)
	add("memory_available_bytes", "", 5.9e9)
	add("swap_bytes", "", 2.1e9)
	add("swap_free_bytes", "", 2.0e9)
	for path, free := range map[string]float64{"/": 61e9, "/var/lib/docker": 17e9} {
		add("disk_bytes", path, 160e9)
		add("disk_available_bytes", path, free)
	}
	return list
}

func replicaMetrics(q rhumb.MetricQuery) []rhumb.Series {
	var list []rhumb.Series
	for _, st := range shopWorld().stacks {
		for _, svc := range st.Services {
			for _, r := range svc.Slots {
				v := .07 * float64(r.Slot)
				if strings.Contains(q.Expr, "memory") {
					v = 104e6 * float64(r.Slot)
				} else if strings.Contains(q.Expr, "started") {
					v = float64(r.Started.Unix())
				}
				list = append(list, rhumb.Series{Labels: map[string]string{"stack": st.Name, "service": svc.Name,
					"release": strconv.Itoa(r.Release), "replica": r.Name}, Points: []rhumb.Point{{Time: q.Until, Value: v}}})
			}
		}
	}
	return list
}

// observedAway is observedWorld without its daemon.
func observedAway() *world {
	w := observedWorld()
	w.down = daemonAway
	return w
}

// deafWorld is shopWorld without what is measured.
func deafWorld() *world {
	w := shopWorld()
	err := rhumb.Errorf(rhumb.Unavailable, "the process that measures doesn't answer").
		WithHint("look at its log: journalctl -u rhumb-observe")
	w.noMetrics, w.noAlerts, w.noLogs, w.noWhy = err, err, err, err
	return w
}

// evil is a text that a page must show and not obey.
const evil = `<script>alert(1)</script><img src=x onerror=alert(2)>"'` + "\u202e\x1b[31m\x00{{.}}"

// evilWorld has a stack whose lines, names and figures are hostile.
func evilWorld() *world {
	w := observedWorld()
	var lines []rhumb.LogLine
	for i, text := range []string{evil, strings.Repeat("a", 70_000), strings.Repeat("界", 3000),
		"\x1b]0;title\x07\x1b[2Jx\r\ny", strings.Repeat("line\n", 500), "\xff\xfe", ""} {
		lines = append(lines, rhumb.LogLine{Time: noon.Add(time.Duration(i-20) * time.Second), Stack: "evil", Service: evil,
			Replica: "evil-" + evil + ".1.1", Release: 1 + i/4, Text: text, Container: evil, Level: rhumb.LevelError})
	}
	w.append(lines)
	long := evil + strings.Repeat("n", 4000)
	for i := range w.alerts {
		w.alerts[i].Text, w.alerts[i].Rule, w.alerts[i].Stack = long, long, long
	}
	w.silences[0].Why, w.silences[0].Rule, w.receivers[1].LastError, w.receivers[0].URL = long, long, long, long
	w.rules[1].Expr, w.rules[1].Name, w.rules[1].Stack, w.rules[1].At = long, long, long, long
	w.why.Causes[0].Text, w.why.Causes[0].Evidence[0].Text, w.why.Happened[0].Text = long, long, long
	w.why.Missing[0] = long
	w.metric = func(q rhumb.MetricQuery) []rhumb.Series {
		list := observedMetrics(q)
		for i := range list {
			for name := range list[i].Labels {
				if name != "__name__" {
					list[i].Labels[name] = long
				}
			}
		}
		return list
	}
	return w
}

// observedShots are the pages of what was measured and written, in all states.
var observedShots = []shot{
	{"logs", "/logs?stack=shop", observedWorld},
	{"logs-all", "/logs?q=slow+query", observedWorld},
	{"logs-empty", "/logs?stack=shop", shopWorld},
	{"logs-none", "/logs?stack=shop&q=nowhere&level=error", observedWorld},
	{"logs-failed", "/logs?q=%28&how=regexp", observedWorld},
	{"logs-context", observedContext, observedWorld},
	{"logs-custom", "/logs?stack=shop&from=2026-11-28+11:30&to=2026-11-28+11:40", observedWorld},
	{"logs-hostile", "/logs?stack=evil", evilWorld},
	{"metrics", "/metrics?stack=shop", observedWorld},
	{"metrics-compare", "/metrics?stack=shop&compare=41-42&range=6h", observedWorld},
	{"metrics-expr", "/metrics?stack=shop&range=6h&by=service&expr=up", observedWorld},
	{"metrics-hostile", "/metrics", evilWorld},
	{"alerts-hostile", "/alerts", evilWorld},
	{"why-hostile", "/why?ask=1", evilWorld},
	{"metrics-failed", "/metrics?stack=shop", deafWorld},
	{"metrics-empty", "/metrics", newWorld},
	{"nodes", "/nodes", observedWorld},
	{"nodes-away", "/nodes", observedAway},
	{"nodes-empty", "/nodes", newWorld},
	{"alerts", "/alerts?tested=1", observedWorld},
	{"alerts-calm", "/alerts", newWorld},
	{"alerts-failed", "/alerts", deafWorld},
	{"silence", "/alerts/silence?rule=HighLatency&stack=shop", observedWorld},
	{"why", "/why", observedWorld},
	{"why-cause", "/why?stack=shop&ask=1", observedWorld},
	{"why-calm", "/why?stack=blog&ask=1", newWorld},
	{"why-failed", "/why?stack=blog&ask=1", deafWorld},
}
