package client_test

import (
	"context"
	"time"

	"rhumb"
)

var (
	silence = rhumb.Silence{ID: "s1", Rule: "HighLatency", Stack: "shop", Service: "web", Until: noon, By: "ada@laptop",
		Why: "<moving> & \u2028", Made: noon}
	receivers = []rhumb.AlertReceiver{{URL: "ntfy+https://ntfy.example.com/***", Sent: noon, LastError: "refused\n",
		ErrorAt: noon}, {URL: "https://example.com"}}
	series = []rhumb.Series{
		{Labels: map[string]string{"__name__": "a", "service": "<ü>\u2028"}, Points: []rhumb.Point{{Time: noon, Value: 0.1},
			{Time: noon.Add(5 * time.Second), Value: -1.7976931348623157e308}, {Time: noon.Add(time.Hour), Value: 5e-324}}},
		{Labels: map[string]string{}, Points: []rhumb.Point{}},
	}
	happening = rhumb.Happening{Kind: rhumb.HappenedRelease, At: noon, Stack: "shop", Service: "web", Release: 42,
		Text: "release 42 of shop began to serve"}
)

func (f *fake) Query(_ context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	f.note(q)
	return zeroIf(f.err, series), f.err
}

func (f *fake) Alerts(_ context.Context, stack string) ([]rhumb.Alert, error) {
	f.note(stack)
	return zeroIf(f.err, []rhumb.Alert{
		{ID: "a1", Rule: "HighLatency", Severity: rhumb.SeverityCritical, State: rhumb.AlertResolved,
			Since: noon, Fired: noon, Resolved: noon, Stack: "shop", Service: "web", Replica: "shop-web.42.1",
			Labels: map[string]string{"le": "1"}, Value: 0.84,
			Text: "p95 is 840 ms", Release: 42, Deployment: 7, Silence: "s1", Inhibited: true},
		{ID: "a2", Rule: "ClockOff", Severity: rhumb.SeverityWarning, State: rhumb.AlertPending, Since: noon},
	}), f.err
}

func (f *fake) AlertRules(context.Context) ([]rhumb.AlertRule, error) {
	f.note()
	return zeroIf(f.err, []rhumb.AlertRule{
		{Name: "HighLatency", Stack: "shop", Expr: "a > 1", Severity: rhumb.SeverityWarning, For: time.Minute,
			Keep: time.Hour, Text: "{{value}}", Replicas: true, Off: true, At: "compose.yaml:12"},
		{Name: "ClockOff", Expr: "b", Severity: rhumb.SeverityWarning},
	}), f.err
}

func (f *fake) AlertReceivers(context.Context) ([]rhumb.AlertReceiver, error) {
	f.note()
	return zeroIf(f.err, receivers), f.err
}

func (f *fake) TestAlert(context.Context) ([]rhumb.AlertReceiver, error) {
	f.note("test")
	return zeroIf(f.err, receivers[:1]), f.err
}

func (f *fake) Silences(context.Context) ([]rhumb.Silence, error) {
	f.note()
	return zeroIf(f.err, []rhumb.Silence{silence, {ID: "s2", Stack: "blog", Until: noon}}), f.err
}

func (f *fake) Silence(_ context.Context, s rhumb.Silence) (rhumb.Silence, error) {
	f.note(s)
	return zeroIf(f.err, silence), f.err
}

func (f *fake) RemoveSilence(_ context.Context, id string) error {
	f.note(id)
	return f.err
}

func (f *fake) Why(_ context.Context, q rhumb.WhyQuery) (rhumb.Explanation, error) {
	f.note(q)
	return zeroIf(f.err, rhumb.Explanation{Since: noon, Until: noon.Add(time.Hour),
		Causes: []rhumb.WhyCause{{Happening: happening, Evidence: []rhumb.Evidence{
			{At: noon, Text: "p95 of web: 38 ms before, 840 ms since 03:12", Expr: "x", Was: 0.038, Is: 0.84}}}},
		Happened: []rhumb.Happening{happening, {Kind: rhumb.HappenedDisk, At: noon}}}), f.err
}

func (f *fake) DashboardLink(context.Context) (rhumb.DashboardLink, error) {
	f.note()
	return zeroIf(f.err, rhumb.DashboardLink{Addr: "127.0.0.1:7484", Key: "k"}), f.err
}
