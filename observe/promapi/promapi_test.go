package promapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/metrics"
	"rhumb/observe/promapi"
)

var discard = slog.New(slog.DiscardHandler)

// start is a time of which all of a test's samples are after.
var start = time.Now().Add(-30 * time.Minute).Truncate(time.Minute)

// stored returns a store with samples every 5 s for ten minutes.
func stored(t *testing.T) *metrics.Store {
	t.Helper()
	s, err := metrics.Open(metrics.Options{Dir: t.TempDir(), Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	fill(t, s, start, 121)
	return s
}

func series(name string, labels ...string) *observe.Series {
	s := &observe.Series{Name: name}
	for i := 0; i < len(labels); i += 2 {
		s.Labels = append(s.Labels, observe.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

// kind is a series of the tests, and its value at the sample i.
type kind struct {
	of *observe.Series
	at func(i int) float64
}

// kinds are the series of the tests: counters that begin again, gauges, histograms, hostile labels.
func kinds() []kind {
	var all []kind
	for n, service := range []string{"web", "api", `q"uo\te` + "\n<b>"} {
		web := []string{"backend", "shop/web:8000", "release", "7", "service", service, "stack", "shop"}
		all = append(all,
			kind{series("rhumb_requests_total", web...), func(i int) float64 { return float64(i % 50 * (n + 1) * 7) }},
			kind{series("rhumb_replica_memory_bytes", "replica", fmt.Sprint("shop-", n), "service", service),
				func(i int) float64 { return 1e8 + 1e5*float64((i*7919+n*31)%1000)/3 }},
		)
		for b, le := range []string{"0.001", "0.01", "0.1", "1", "10", "+Inf"} {
			ls := []string{"backend", "shop/web:8000", "le", le, "release", "7", "service", service, "stack", "shop"}
			all = append(all, kind{series("rhumb_request_duration_seconds_bucket", ls...),
				func(i int) float64 { return float64(i * (b + 1) * (n + 1)) }})
		}
		all = append(all,
			kind{series("rhumb_request_duration_seconds_sum", web...), func(i int) float64 { return float64(i) * 0.137 }},
			kind{series("rhumb_request_duration_seconds_count", web...),
				func(i int) float64 { return float64(i * 6 * (n + 1)) }})
	}
	return append(all,
		kind{series("rhumb_node_load1"), func(i int) float64 { return float64(i%13) / 7 }},
		kind{series("app_queue", "stack", "shop"), func(i int) float64 { return float64(100 - i) }})
}

func fill(t *testing.T, s observe.SampleSink, start time.Time, n int) {
	t.Helper()
	all := kinds()
	for i := range n {
		var samples []observe.Sample
		for _, k := range all {
			samples = append(samples, observe.Sample{Series: k.of, Value: k.at(i)})
		}
		if err := s.Add(t.Context(), start.Add(time.Duration(i)*5*time.Second), samples); err != nil {
			t.Fatal(err)
		}
	}
}

// served returns the address of a handler.
func served(t *testing.T, d promapi.Deps) string {
	t.Helper()
	d.Log, d.Version = discard, "v1.2.3"
	s := httptest.NewServer(promapi.New(d))
	t.Cleanup(s.Close)
	return s.URL
}

// client returns Prometheus' own client of an address.
func client(t *testing.T, addr string) v1.API {
	t.Helper()
	c, err := api.NewClient(api.Config{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	return v1.NewAPI(c)
}

func TestPrometheusOwnClientReadsValues(t *testing.T) {
	c := client(t, served(t, promapi.Deps{Store: stored(t)}))
	at := start.Add(5 * time.Minute)
	v, _, err := c.Query(t.Context(), `sum by (service) (rhumb_requests_total{service=~"web|api"})`, at)
	if err != nil {
		t.Fatal(err)
	}
	got := map[model.LabelValue]model.SampleValue{}
	for _, x := range v.(model.Vector) {
		got[x.Metric["service"]] = x.Value
	}
	if want := map[model.LabelValue]model.SampleValue{"api": 140, "web": 70}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if v, _, err = c.Query(t.Context(), "3.5", at); err != nil || v.Type() != model.ValScalar ||
		v.(*model.Scalar).Value != 3.5 {
		t.Errorf("a scalar: %v %v", v, err)
	}
	v, _, err = c.Query(t.Context(), "vector(-1)/0", at)
	if err != nil || v.(model.Vector)[0].Value.String() != "-Inf" {
		t.Errorf("infinity: %v %v", v, err)
	}
	v, _, err = c.QueryRange(t.Context(), "rhumb_node_load1", v1.Range{Start: start, End: at, Step: 5 * time.Second})
	if err != nil || len(v.(model.Matrix)) != 1 || len(v.(model.Matrix)[0].Values) != 61 {
		t.Errorf("a range: %v %v", v, err)
	}
	v, _, err = c.Query(t.Context(), "app_queue[1m]", at)
	if err != nil || len(v.(model.Matrix)[0].Values) != 12 {
		t.Errorf("a matrix: %v %v", v, err)
	}
	_, ws, err := c.Query(t.Context(), "rate(rhumb_node_load1[1m])", at)
	if err != nil || len(ws) == 0 {
		t.Errorf("no warning: %v %v", ws, err)
	}
	v, ws, err = c.Query(t.Context(), "rhumb_requests_total", at, v1.WithLimit(2))
	if err != nil || len(v.(model.Vector)) != 2 || len(ws) == 0 {
		t.Errorf("limited: %v %v %v", v, ws, err)
	}
}

func TestPrometheusOwnClientReadsLabels(t *testing.T) {
	c := client(t, served(t, promapi.Deps{Store: stored(t)}))
	from, to := start.Add(-time.Hour), time.Now()
	names, _, err := c.LabelNames(t.Context(), nil, from, to)
	if want := []string{"__name__", "backend", "le", "release", "replica", "service", "stack"}; err != nil ||
		!slices.Equal(names, want) {
		t.Errorf("names: %v %v", names, err)
	}
	names, _, err = c.LabelNames(t.Context(), []string{"app_queue", "rhumb_node_load1"}, from, to)
	if err != nil || !slices.Equal(names, []string{"__name__", "stack"}) {
		t.Errorf("names of some: %v %v", names, err)
	}
	values, _, err := c.LabelValues(t.Context(), "service", nil, from, to)
	if err != nil || !slices.Equal(values, model.LabelValues{"api", `q"uo\te` + "\n<b>", "web"}) {
		t.Errorf("values: %q %v", values, err)
	}
	values, _, err = c.LabelValues(t.Context(), "service", []string{`{service=~"w.*"}`}, from, to, v1.WithLimit(1))
	if err != nil || !slices.Equal(values, model.LabelValues{"web"}) {
		t.Errorf("values of some: %q %v", values, err)
	}
	all, _, err := c.Series(t.Context(), []string{"app_queue", `{__name__=~"rhumb_node.*"}`, "app_queue"}, from, to)
	found := []model.LabelSet{{"__name__": "app_queue", "stack": "shop"}, {"__name__": "rhumb_node_load1"}}
	if err != nil || cmp.Diff(found, all) != "" {
		t.Errorf("series: %v %v", all, err)
	}
	all, _, err = c.Series(t.Context(), []string{"app_queue"}, from.Add(-100*time.Hour), from.Add(-90*time.Hour))
	if err != nil || len(all) != 0 {
		t.Errorf("series of another time: %v %v", all, err)
	}
	meta, err := c.Metadata(t.Context(), "", "")
	kinds := map[string]v1.MetricType{}
	for name, m := range meta {
		kinds[name] = m[0].Type
	}
	want := map[string]v1.MetricType{"app_queue": "gauge", "rhumb_node_load1": "gauge",
		"rhumb_requests_total": "counter", "rhumb_replica_memory_bytes": "gauge",
		"rhumb_request_duration_seconds": "histogram"}
	if err != nil || !maps.Equal(kinds, want) {
		t.Errorf("metadata: %v %v", kinds, err)
	}
}

// alerts are the rules and alerts of a test.
type alerts struct{}

func (alerts) Alerts(context.Context, string) ([]rhumb.Alert, error) {
	return []rhumb.Alert{
		{Rule: "HighLatency", Severity: rhumb.SeverityWarning, State: rhumb.AlertFiring, Since: start, Stack: "shop",
			Labels: map[string]string{"service": "web"}, Value: 1.5, Text: "slow"},
		{Rule: "HighLatency", State: rhumb.AlertResolved, Since: start, Stack: "blog"},
		{Rule: "Own", State: rhumb.AlertPending, Since: start, Stack: "shop"},
	}, nil
}

func (alerts) AlertRules(context.Context) ([]rhumb.AlertRule, error) {
	return []rhumb.AlertRule{
		{Name: "HighLatency", Expr: "up > 1", Severity: rhumb.SeverityWarning, For: time.Minute, Keep: time.Hour},
		{Name: "Off", Stack: "shop", Expr: "1", Off: true},
		{Name: "Own", Stack: "shop", Expr: "up", Severity: rhumb.SeverityCritical},
	}, nil
}

func TestPrometheusOwnClientReadsRulesAndAlerts(t *testing.T) {
	c := client(t, served(t, promapi.Deps{Store: stored(t), Alerts: alerts{}}))
	got, err := c.Alerts(t.Context())
	if err != nil || len(got.Alerts) != 2 || got.Alerts[0].Value != "1.5e+00" ||
		got.Alerts[0].State != v1.AlertStateFiring || got.Alerts[0].Labels["alertname"] != "HighLatency" ||
		!got.Alerts[0].ActiveAt.Equal(start) {
		t.Errorf("alerts: %+v %v", got, err)
	}
	rules, err := c.Rules(t.Context())
	if err != nil || len(rules.Groups) != 2 || len(rules.Groups[0].Rules) != 1 || len(rules.Groups[1].Rules) != 1 {
		t.Fatalf("rules: %+v %v", rules, err)
	}
	high, own := rules.Groups[0].Rules[0].(v1.AlertingRule), rules.Groups[1].Rules[0].(v1.AlertingRule)
	if high.Name != "HighLatency" || high.Duration != 60 || high.State != "firing" || len(high.Alerts) != 1 ||
		own.State != "pending" || own.Labels["severity"] != "critical" {
		t.Errorf("rules: %+v %+v", high, own)
	}
	none := client(t, served(t, promapi.Deps{Store: stored(t)}))
	if got, err := none.Alerts(t.Context()); err != nil || got.Alerts == nil || len(got.Alerts) != 0 {
		t.Errorf("no alerts: %+v %v", got, err)
	}
	if got, err := none.Rules(t.Context()); err != nil || len(got.Groups) != 0 {
		t.Errorf("no rules: %+v %v", got, err)
	}
}

func TestPrometheusOwnClientReadsWhatThereIsNotMuchOf(t *testing.T) {
	c := client(t, served(t, promapi.Deps{Store: stored(t)}))
	info, err := c.Buildinfo(t.Context())
	if err != nil || info.Version != "2.55.0" || info.Revision != "v1.2.3" {
		t.Errorf("build: %+v %v", info, err)
	}
	if ex, err := c.QueryExemplars(t.Context(), "up", start, time.Now()); err != nil || len(ex) != 0 {
		t.Errorf("exemplars: %v %v", ex, err)
	}
	if f, err := c.Flags(t.Context()); err != nil || len(f) != 0 {
		t.Errorf("flags: %v %v", f, err)
	}
	if _, err := c.Config(t.Context()); err != nil {
		t.Errorf("config: %v", err)
	}
	if ts, err := c.Targets(t.Context()); err != nil || len(ts.Active) != 0 {
		t.Errorf("targets: %v %v", ts, err)
	}
	if as, err := c.AlertManagers(t.Context()); err != nil || len(as.Active) != 0 {
		t.Errorf("alertmanagers: %v %v", as, err)
	}
}
