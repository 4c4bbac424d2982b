package alertrule

import (
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestConditionsBecomeRules(t *testing.T) {
	for text, want := range map[string]rhumb.AlertRule{
		"cpu > 80% for 5m": {For: 5 * time.Minute, Replicas: true, Text: "CPU of {{replica}}: {{value}}%, over 80%",
			Expr: `100 * (rate(rhumb_replica_cpu_seconds_total{stack="shop",service="web"}[1m]) / ` +
				`rhumb_replica_cpu_limit{stack="shop",service="web"} or ` +
				`rate(rhumb_replica_cpu_seconds_total{stack="shop",service="web"}[1m]) / scalar(max(rhumb_node_cpus))) > 80`},
		"cpu>=1.5": {Replicas: true, Text: "{{replica}} uses CPUs: {{value}}, at least 1.5",
			Expr: `rate(rhumb_replica_cpu_seconds_total{stack="shop",service="web"}[1m]) >= 1.5`},
		"memory > 1.5 GB": {Replicas: true, Text: "memory of {{replica}}: {{value}} MB, over 1536 MB",
			Expr: `rhumb_replica_memory_bytes{stack="shop",service="web"} / 1048576 > 1536`},
		"requests < 60/m for 1h30m": {For: 90 * time.Minute,
			Text: "requests to {{service}}: {{value}} per second, under 1 per second",
			Expr: `(sum by (stack, service) (rate(rhumb_requests_total{stack="shop",service="web"}[5m])) or ` +
				`sum by (stack, service) (0 * rhumb_service_replicas{stack="shop",service="web"})) < 1`},
		"restarts > 3 in 20m": {Replicas: true, Text: "crashes of {{service}} in 20m: {{value}}, over 3",
			Expr: `round(sum by (stack, service) (increase(` +
				`rhumb_service_restarts_total{stack="shop",service="web"}[20m]))) > 3`},
		"latency_p95 > 300ms for 2d": {For: 48 * time.Hour,
			Text: "latency (p95) of {{service}}: {{value}} s, over 0.3 s",
			Expr: `histogram_quantile(0.95, sum by (stack, service, le) (increase(` +
				`rhumb_request_duration_seconds_bucket{stack="shop",service="web"}[5m]))) > 0.3 and ` +
				`sum by (stack, service) (increase(` +
				`rhumb_request_duration_seconds_count{stack="shop",service="web"}[5m])) >= 20`},
	} {
		got, err := Parse(text, Scope{Stack: "shop", Service: "web"})
		want.Severity = rhumb.SeverityWarning
		if err != nil || got != want {
			t.Errorf("%s is\n%+v, want\n%+v: %v", text, got, want, err)
		}
	}
	got, err := Parse("disk > 85%", Scope{Stack: `a"b`})
	if err != nil || got.Expr != `100 * (1 - rhumb_node_disk_available_bytes / rhumb_node_disk_bytes) > 85` {
		t.Errorf("of a stack: %+v, %v", got, err)
	}
	if got, _ := Parse("cpu > 1", Scope{Stack: `a"b`}); !strings.Contains(got.Expr, `{stack="a\"b"}`) {
		t.Errorf("a quote in a name: %s", got.Expr)
	}
}

func TestMistakesInConditionsHaveAColumnAndAHint(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "column 1: the condition is empty | write it as",
		"  ":                     "column 3: the condition is empty | ",
		"cqu > 80%":              `column 1: "cqu" can't be compared | there is cpu, memory, errors`,
		"cpu":                    "column 4: the end is not a comparison | write >, >=, < or <=",
		"cpu ≥ 80%":              `column 5: "≥" is not a comparison | `,
		"cpu == 80%":             `column 5: "==" is not a comparison | `,
		"cpu > ":                 "column 7: the end is not a number | write it as cpu > 80% for 5m",
		"cpu > lots":             `column 7: "lots" is not a number | `,
		"cpu > -3":               `column 7: "-3" is not a number | `,
		"cpu > 1.2.3":            `column 7: "1.2.3" is not a number | `,
		"cpu > 80 percent":       `column 10: "percent" is not a unit of cpu | `,
		"cpu > 80ms":             `column 9: "ms" is not a unit of cpu | `,
		"errors > 5":             "column 11: the unit is missing | write it as errors > 5%, or errors > 2/s",
		"latency_p95 > 300 5m":   `column 19: "5m" is not a unit of latency_p95 | `,
		"cpu > 80% 5m":           `column 11: "5m" isn't expected here | end it with "for 5m"`,
		"cpu > 80% for":          "column 14: the end is not a time from 0s to 168h | write it as 90s, 5m or 1h30m",
		"cpu > 80% for soon":     `column 15: "soon" is not a time from`,
		"cpu > 80% for 1.5s":     `column 15: "1.5s" is not a time from`,
		"cpu > 80% for 8d":       `column 15: "8d" is not a time from`,
		"cpu > 80% in 10m":       "column 11: cpu isn't counted in a time | write for instead of in",
		"restarts > 3 in 10s":    `column 17: "10s" is not a time from 1m to 24h | `,
		"disk > 85%":             "column 1: a service has no disk of its own | move it to x-rhumb.alerts",
		"cpu > 80% and disk > 1": `column 11: "and" isn't expected here | `,
	} {
		_, err := Parse(text, Scope{Stack: "shop", Service: "web"})
		if rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%q: %v", text, err)
		} else if got := err.Error() + " | " + rhumb.ErrorHint(err); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestUnbalancedExpressionsAreInvalid(t *testing.T) {
	for expr, want := range map[string]string{
		"":                          "column 1: the expression is empty",
		"sum(rate(a[5m])":           "column 4: ( isn't closed",
		"a{b='c'}}":                 "column 9: } closes nothing",
		"a{b='c]":                   "column 5: a quote isn't closed",
		"(a]":                       "column 3: ] closes nothing",
		`é{b="\"}`:                  "column 5: a quote isn't closed",
		strings.Repeat("a", 5000):   "column 1: the expression is longer than 4096 bytes",
		`a{b="}"} + (c[5m:1m])`:     "",
		"a{b=`\\`}":                 "",
		`label_replace(a,'x',"",0)`: "",
	} {
		err := CheckExpr(expr)
		if want == "" && err != nil || want != "" && (rhumb.ErrorCode(err) != rhumb.Invalid || err.Error() != want) {
			t.Errorf("%.40s: %v, want %q", expr, err, want)
		}
	}
}

func FuzzConditionsNeverPanic(f *testing.F) {
	for _, m := range measures {
		f.Add(m.example)
	}
	f.Add("restarts >= 3 in 10m for 1d")
	f.Add("cpu > 80 %")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text, Scope{Stack: "shop", Service: "web"})
		if err != nil {
			if rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) == "" ||
				!strings.HasPrefix(err.Error(), "column ") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if err := CheckExpr(r.Expr); err != nil || r.Text == "" {
			t.Errorf("%q is %+v: %v", text, r, err)
		}
	})
}
