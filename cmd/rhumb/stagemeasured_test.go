package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rhumb"
)

// measured is what the stage measures. At first it is away.
type measured struct {
	mu        sync.Mutex
	err       error // of every call
	quiet     bool  // nothing is wrong
	silences  []rhumb.Silence
	receivers []rhumb.AlertReceiver
	asked     string // the last query
}

func newMeasured() *measured {
	return &measured{err: rhumb.Errorf(rhumb.Unavailable, "the process that measures doesn't answer").
		WithHint("look at its log")}
}

// state returns whether nothing is wrong, and the error of every call.
func (m *measured) state() (quiet bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.quiet, m.err
}

// point returns a series with one value. Labels are "name=value".
func point(v float64, labels ...string) rhumb.Series {
	s := rhumb.Series{Labels: map[string]string{}, Points: []rhumb.Point{{Time: time.Now(), Value: v}}}
	for _, l := range labels {
		name, value, _ := strings.Cut(l, "=")
		s.Labels[name] = value
	}
	return s
}

func (m *measured) Query(_ context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	m.mu.Lock()
	m.asked = q.Expr
	m.mu.Unlock()
	if _, err := m.state(); err != nil {
		return nil, err
	}
	switch {
	case q.Expr == "broken(":
		return nil, rhumb.Errorf(rhumb.Invalid, "1:7: unclosed left parenthesis").WithHint("look at it")
	case q.Expr == "nothing":
		return nil, nil
	case strings.Contains(q.Expr, "label_replace"):
		return figuresOf(strings.Contains(q.Expr, "{stack=\"shop\"}")), nil
	case q.Since.IsZero():
		return []rhumb.Series{point(1536000, "__name__=rhumb_replica_memory_bytes", "service=web\x1b[2J"),
			point(2e6, "__name__=rhumb_replica_memory_bytes", "service=db")}, nil
	}
	list := []rhumb.Series{{Labels: map[string]string{"service": "web"}}, {Labels: map[string]string{"service": "db"}}}
	for t, i := q.Since, 0.0; !t.After(q.Until); t, i = t.Add(q.Step), i+1 {
		list[0].Points = append(list[0].Points, rhumb.Point{Time: t, Value: 5 + 5*math.Sin(i/20)})
		list[1].Points = append(list[1].Points, rhumb.Point{Time: t, Value: 2})
	}
	return list, nil
}

// figuresOf are the figures of the shop, and unless only those are asked for, of a blog.
func figuresOf(shop bool) []rhumb.Series {
	var list []rhumb.Series
	replica := func(stack, service string, cpu, memory float64) {
		of := []string{"stack=" + stack, "service=" + service, "release=41",
			"replica=" + rhumb.ReplicaName(stack, service, 41, 1)}
		list = append(list, point(cpu, append(of, "figure=cpu")...), point(memory, append(of, "figure=memory")...),
			point(2000, append(of, "figure=received")...), point(3e6, append(of, "figure=sent")...),
			point(3, append(of, "figure=open")...))
	}
	replica("shop", "web", 0.5, 120e6)
	replica("shop", "db", 0.042, 490e6)
	if !shop {
		replica("blog", "web", 1.5, 1e6)
	}
	list = append(list, point(512e6, "stack=shop", "service=db", "replica=shop-db.41.1", "release=41", "figure=limit"),
		point(12.5, "stack=shop", "service=web", "figure=requests"),
		point(0.25, "stack=shop", "service=web", "figure=errors"), point(0.038, "stack=shop", "service=web", "figure=p95"))
	return append(list, point(0.25, "figure=busy"), point(0.4, "figure=load"), point(0.9, "figure=taken"),
		point(float64(hoursAgo(72).Unix()), "figure=boot"), point(100e9, "path=/", "figure=size"),
		point(3e9, "path=/", "figure=left"))
}

func (m *measured) Alerts(_ context.Context, stack string) ([]rhumb.Alert, error) {
	quiet, err := m.state()
	if quiet || err != nil {
		return nil, err
	}
	list := []rhumb.Alert{
		{ID: "3", Rule: "DiskFull", Severity: rhumb.SeverityWarning, State: rhumb.AlertResolved, Since: hoursAgo(5),
			Resolved: hoursAgo(3), Text: "the disk / is 86% full"},
		{ID: "2", Rule: "CrashLoop", Severity: rhumb.SeverityCritical, State: rhumb.AlertPending, Since: hoursAgo(1),
			Stack: "shop", Service: "web", Replica: "shop-web.41.2", Text: "it crashed\n4 times", Inhibited: true},
		{ID: "1", Rule: "HighLatency", Severity: rhumb.SeverityCritical, State: rhumb.AlertFiring, Since: hoursAgo(2),
			Stack: "shop", Service: "web", Text: "p95 is 840 ms \x1b[2J", Silence: "s1"},
	}
	if stack != "" {
		list = list[1:]
	}
	return list, nil
}

func (m *measured) AlertRules(context.Context) ([]rhumb.AlertRule, error) {
	_, err := m.state()
	return []rhumb.AlertRule{
		{Name: "HighLatency", Expr: "p95 > 1", Severity: rhumb.SeverityCritical, For: 5 * time.Minute},
		{Name: "HighLatency", Stack: "shop", Off: true, Severity: rhumb.SeverityCritical, At: "compose.yaml:12"},
		{Name: "Slow", Stack: "shop", Service: "web", Expr: "x > 3", Severity: rhumb.SeverityWarning, At: "compose.yaml:20"},
	}, err
}

func (m *measured) AlertReceivers(context.Context) ([]rhumb.AlertReceiver, error) {
	_, err := m.state()
	return m.receivers, err
}

func (m *measured) TestAlert(ctx context.Context) ([]rhumb.AlertReceiver, error) {
	return m.AlertReceivers(ctx)
}

func (m *measured) Silences(context.Context) ([]rhumb.Silence, error) {
	_, err := m.state()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.silences, err
}

func (m *measured) Silence(_ context.Context, s rhumb.Silence) (rhumb.Silence, error) {
	_, err := m.state()
	m.mu.Lock()
	defer m.mu.Unlock()
	s.ID = fmt.Sprint("s", len(m.silences)+1)
	m.silences = append(m.silences, s)
	return s, err
}

func (m *measured) RemoveSilence(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.silences {
		if s.ID == id {
			m.silences = append(m.silences[:i], m.silences[i+1:]...)
			return nil
		}
	}
	return rhumb.Errorf(rhumb.NotFound, "there is no silence %s", id).WithHint("rhumb alerts silences lists them")
}

func (m *measured) Why(_ context.Context, q rhumb.WhyQuery) (rhumb.Explanation, error) {
	quiet, err := m.state()
	x := rhumb.Explanation{Since: q.Since, Until: q.Until}
	if x.Until.IsZero() {
		x.Until = time.Now()
	}
	if x.Since.IsZero() {
		x.Since = x.Until.Add(-time.Hour)
	}
	scaled := rhumb.Happening{Kind: rhumb.HappenedScale, At: x.Since.Add(10 * time.Minute), Stack: "shop",
		Text: "shop/web was scaled from 2 to 3"}
	x.Happened = []rhumb.Happening{scaled}
	if quiet || err != nil {
		return x, err
	}
	release := rhumb.Happening{Kind: rhumb.HappenedRelease, At: x.Since.Add(20 * time.Minute), Stack: "shop",
		Text: "release 41 of shop began to serve (environment DB_POOL)"}
	x.Happened = append(x.Happened, release)
	x.Causes = []rhumb.WhyCause{{Happening: release, Evidence: []rhumb.Evidence{
		{At: release.At, Text: "p95 of web: 38 ms before, 840 ms since"}}},
		{Happening: rhumb.Happening{Kind: rhumb.HappenedHostCPU, At: release.At, Text: "the machine's CPUs were busy"}}}
	x.Missing = []string{"the log lines of " + q.Stack + "/" + q.Service}
	return x, nil
}

func (m *measured) DashboardLink(context.Context) (rhumb.DashboardLink, error) {
	_, err := m.state()
	return rhumb.DashboardLink{Addr: "[::]:7484", Key: "k&y"}, err
}

// measure implements "measure on|quiet|away|receivers": from now on, the server measures and something is wrong,
// nothing is, it doesn't answer, or its alerts have receivers.
func measure(ts *testscript.TestScript, neg bool, args []string) {
	m := ts.Value(stageKey{}).(*stage).measured
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: measure on|quiet|away|receivers")
	case args[0] == "away":
		m.err = newMeasured().err
	case args[0] == "receivers":
		m.receivers = []rhumb.AlertReceiver{{URL: "ntfy+https://ntfy.example.com/***", Sent: hoursAgo(1)},
			{URL: "smtp://mail.example.com", LastError: "connection refused", ErrorAt: hoursAgo(2)}}
	default:
		m.err, m.quiet = nil, args[0] == "quiet"
	}
}
