package alertrule

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rhumb"
)

// promtool runs Prometheus' own checker in a folder with the rules.
func promtool(t *testing.T, rules []rhumb.AlertRule, tests string, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("promtool isn't installed: it is in Debian's package prometheus")
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"rules.yml": PrometheusFile(rules), "tests.yml": []byte(tests)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestPrometheusReadsAllRules(t *testing.T) {
	rules := Shipped()
	for _, m := range measures {
		for _, u := range m.units {
			c := comparison{scope: Scope{Stack: `s"\`, Service: "web"}, measure: &m, operator: ">=", number: "1.5", unit: u,
				window: m.window}
			expr, text := m.rule(c)
			rules = append(rules, rhumb.AlertRule{Name: m.name, Expr: expr, Text: text, Severity: rhumb.SeverityWarning})
		}
	}
	promtool(t, rules, "", "check", "rules", "--lint=none", "rules.yml")
}

// promtoolTests are some causes, as Prometheus' own simulation has them.
const promtoolTests = `
rule_files: [rules.yml]
evaluation_interval: 15s
tests:
- interval: 15s
  input_series:
  - {series: 'rhumb_service_restarts_total{stack="shop",service="web"}', values: '0x40 1x7 2x7 3x7 4x20'}
  - {series: 'rhumb_service_replicas{stack="shop",service="web"}', values: '2x100'}
  - {series: 'rhumb_service_replicas_ready{stack="shop",service="web"}', values: '2x40 0x20 2x40'}
  - {series: 'rhumb_requests_total{stack="shop",service="web",backend="b",release="1"}', values: '0+100x100'}
  - {series: 'rhumb_request_errors_total{stack="shop",service="web",backend="b",release="1"}', values: '0x40 0+10x60'}
  - {series: 'rhumb_log_lines_total{stack="shop",service="db",level="fatal"}', values: '_x40 1x60'}
  alert_rule_test:
  - {eval_time: 9m, alertname: CrashLoop}
  - eval_time: 17m
    alertname: CrashLoop
    exp_alerts:
    - exp_labels: {severity: critical, stack: shop, service: web}
      exp_annotations: {summary: "replicas of web crash or fail their checks, again and again: 4 times in 10 minutes"}
  - eval_time: 13m
    alertname: ServiceDown
    exp_alerts:
    - exp_labels: {severity: critical, stack: shop, service: web}
      exp_annotations: {summary: web has no ready replica}
  - {eval_time: 20m, alertname: ServiceDown}
  - {eval_time: 9m, alertname: ErrorRatio}
  - eval_time: 20m
    alertname: ErrorRatio
    exp_alerts:
    - exp_labels: {severity: critical, stack: shop, service: web}
      exp_annotations: {summary: "10% of the requests to web fail"}
  - {eval_time: 9m, alertname: FatalLines}
  - eval_time: 11m
    alertname: FatalLines
    exp_alerts:
    - exp_labels: {severity: warning, stack: shop, service: db}
      exp_annotations: {summary: "db writes log lines of level fatal: 1 in 5 minutes"}
  - {eval_time: 20m, alertname: FatalLines}
`

func TestPrometheusFindsTheSameAlerts(t *testing.T) {
	promtool(t, Shipped(), promtoolTests, "test", "rules", "tests.yml")
}
