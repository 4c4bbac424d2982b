package compose

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// loaded returns the stack shop of a Compose file.
func loaded(t *testing.T, text string) rhumb.Stack {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "compose.yaml", text)
	p, err := Load(t.Context(), Options{Dir: dir, Name: "shop", Environ: []string{"MOST=80"}})
	if err != nil {
		t.Fatal(told(err))
	}
	return p.Stack
}

func TestAlertsAreReadWithTheirPlaces(t *testing.T) {
	t.Parallel()
	got := loaded(t, `services:
  web:
    image: x
    x-rhumb:
      alerts:
        busy: cpu > ${MOST} for 5m
        Unhealthy: off
        HighLatency:
          when: latency_p95 > 300ms
          for: 10m
          keep: 1d
          severity: critical
          text: too slow
        FatalLines: {for: 5m}
x-rhumb:
  alerts:
    queue: {expr: 'sum(queue_length) > 100', for: 1h}
    busy: memory > 500MB
    CrashLoop: "off"
`).Alerts
	const sel = `{stack="shop",service="web"}`
	warning, critical := rhumb.SeverityWarning, rhumb.SeverityCritical
	for i, want := range []rhumb.AlertRule{
		{Name: "CrashLoop", Stack: "shop", Severity: critical, Keep: 3 * time.Minute, Off: true, At: "compose.yaml:19"},
		{Name: "FatalLines", Stack: "shop", Service: "web", Severity: warning, For: 5 * time.Minute, Keep: time.Minute,
			Replicas: true, At: "compose.yaml:14"},
		{Name: "HighLatency", Stack: "shop", Service: "web", Severity: critical, For: 10 * time.Minute,
			Keep: 24 * time.Hour, Text: "too slow", At: "compose.yaml:8",
			Expr: `histogram_quantile(0.95, sum by (stack, service, le) (increase(` +
				`rhumb_request_duration_seconds_bucket` + sel + `[5m]))) > 0.3 and sum by (stack, service) (increase(` +
				`rhumb_request_duration_seconds_count` + sel + `[5m])) >= 20`},
		{Name: "Unhealthy", Stack: "shop", Service: "web", Severity: warning, Keep: time.Minute, Off: true,
			At: "compose.yaml:7"},
		{Name: "busy", Stack: "shop", Severity: warning, Replicas: true, At: "compose.yaml:18",
			Expr: `rhumb_replica_memory_bytes{stack="shop"} / 1048576 > 500`,
			Text: "memory of {{replica}}: {{value}} MB, over 500 MB"},
		{Name: "busy", Stack: "shop", Service: "web", Severity: warning, For: 5 * time.Minute, Replicas: true,
			Expr: `rate(rhumb_replica_cpu_seconds_total` + sel + `[1m]) > 80`, At: "compose.yaml:6",
			Text: "{{replica}} uses CPUs: {{value}}, over 80"},
		{Name: "queue", Stack: "shop", Severity: warning, For: time.Hour, Expr: "sum(queue_length) > 100",
			At: "compose.yaml:17"},
	} {
		if i >= len(got) {
			t.Fatalf("only %d rules", len(got))
		}
		if got[i].Name == "FatalLines" { // a rule of rhumb's, with another time
			if got[i].Expr == "" || got[i].Text == "" {
				t.Errorf("it has no condition: %+v", got[i])
			}
			got[i].Expr, got[i].Text = "", ""
		}
		if d := cmp.Diff(want, got[i]); d != "" {
			t.Errorf("%s (-want +got):\n%s", want.Name, d)
		}
	}
}

func TestMetricsOfAServiceAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*rhumb.Scrape{
		"{}":                    nil,
		"{metrics: 9090}":       {Port: 9090, Path: "/metrics", Every: 15 * time.Second},
		"{metrics: '9${MOST}'}": {Port: 980, Path: "/metrics", Every: 15 * time.Second},
		"{metrics: {port: 80, path: '/m?a=b', every: 5s}}": {Port: 80, Path: "/m?a=b", Every: 5 * time.Second},
	} {
		m := loaded(t, "services: {web: {image: x, x-rhumb: "+text+"}}\n")
		if d := cmp.Diff(want, m.Service("web").Metrics); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}

func TestAlertsAndMetricsChangeNoSpecHash(t *testing.T) {
	t.Parallel()
	plain := loaded(t, "services: {web: {image: x}}\n")
	alerted := loaded(t, "services: {web: {image: x, x-rhumb: {metrics: 80, alerts: {a: cpu > 1}}}}\n"+
		"x-rhumb: {alerts: {b: cpu > 1}}\n")
	if len(alerted.Alerts) != 2 || alerted.Service("web").Metrics == nil {
		t.Fatalf("read as %+v", alerted)
	}
	same(t, "hashes", alerted.Specs(), plain.Specs())
	o := alerted.Observing()
	if len(o.Rules) != 2 || o.Scrapes["web"].Port != 80 {
		t.Errorf("it asks for %+v", o)
	}
}

func TestALaterFileTurnsAnAlertOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.yaml", "services: {web: {image: x}}\nx-rhumb: {alerts: {ErrorRatio: errors > 9%, b: cpu > 1}}\n")
	write(t, dir, "b.yaml", "x-rhumb: {alerts: {ErrorRatio: off}}\n")
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s", Files: []string{"a.yaml", "b.yaml"}})
	if err != nil {
		t.Fatal(told(err))
	}
	off := slices.IndexFunc(p.Stack.Alerts, func(r rhumb.AlertRule) bool { return r.Name == "ErrorRatio" && r.Off })
	if len(p.Stack.Alerts) != 2 || off < 0 || p.Stack.Alerts[off].At != "b.yaml:1" {
		t.Errorf("read as %+v", p.Stack.Alerts)
	}
}
