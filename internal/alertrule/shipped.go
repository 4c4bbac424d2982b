// Package alertrule has the rules that rhumb ships, and turns plain conditions such as "cpu > 80% for 5m" into rules.
// It does no I/O and knows no clock. docs/alerts.md describes both, docs/metrics.md the series that they use.
package alertrule

import (
	"slices"
	"strings"
	"time"

	"rhumb"
)

// The names of the rules that the evaluator itself has. No stack can have a rule with such a name.
const (
	RuleFailed       = "RuleFailed"       // a rule can't be evaluated
	MeasuringStopped = "MeasuringStopped" // there are no fresh samples, so that no rule says anything
)

// Shipped returns rhumb's own rules, sorted by name. They hold for the machine and for all stacks. A stack turns one
// off, or replaces it, with a rule of the same name.
func Shipped() []rhumb.AlertRule {
	all := slices.Concat(ofReplicas(), ofServices(), ofMachine())
	slices.SortFunc(all, func(a, b rhumb.AlertRule) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// ShippedRule returns rhumb's own rule of that name.
func ShippedRule(name string) (rhumb.AlertRule, bool) {
	all := Shipped()
	i := slices.IndexFunc(all, func(r rhumb.AlertRule) bool { return r.Name == name })
	if i < 0 {
		return rhumb.AlertRule{}, false
	}
	return all[i], true
}

// NamesFor returns the names of rhumb's own rules that a stack, or one of its services, can change, sorted.
func NamesFor(s Scope) []string {
	var names []string
	for _, r := range slices.Concat(ofReplicas(), ofServices()) {
		if s.Service == "" || r.Name != "DeploymentFailed" {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names
}

// ofReplicas are the rules about replicas. They wait for the verdict of a deployment. Rhumb replaces a replica whose
// check fails at once: Unhealthy is about one that it can't replace, and CrashLoop about replacements that fail too.
func ofReplicas() []rhumb.AlertRule {
	rules := []rhumb.AlertRule{
		{
			// The second half has it end soon after the last crash. Rhumb waits for at most a minute before a restart.
			Name: "CrashLoop", Severity: rhumb.SeverityCritical, Keep: 3 * time.Minute,
			Expr: `round(increase(rhumb_service_restarts_total[10m])) >= 3 ` +
				`and round(increase(rhumb_service_restarts_total[4m])) >= 1`,
			Text: "replicas of {{service}} crash or fail their checks, again and again: {{value}} times in 10 minutes",
		}, {
			Name: "Unhealthy", Severity: rhumb.SeverityWarning, For: 2 * time.Minute, Keep: time.Minute,
			Expr: `rhumb_replica_unhealthy == 1`,
			Text: "{{replica}} fails its health check",
		}, {
			Name: "ReplicasMissing", Severity: rhumb.SeverityWarning, For: 3 * time.Minute, Keep: time.Minute,
			Expr: `rhumb_service_replicas_ready < rhumb_service_replicas and rhumb_service_replicas_ready > 0`,
			Text: "{{service}} has too few ready replicas: {{value}}",
		}, {
			Name: "ServiceDown", Severity: rhumb.SeverityCritical, For: time.Minute, Keep: time.Minute,
			Expr: `rhumb_service_replicas_ready == 0 and rhumb_service_replicas > 0`,
			Text: "{{service}} has no ready replica",
		}, {
			Name: "MemoryNearLimit", Severity: rhumb.SeverityWarning, For: 5 * time.Minute, Keep: 5 * time.Minute,
			Expr: `100 * rhumb_replica_memory_bytes / rhumb_replica_memory_limit_bytes > 90`,
			Text: "{{replica}} uses {{value}}% of the memory that it may use",
		}, {
			Name: "OOMKill", Severity: rhumb.SeverityCritical, Keep: time.Minute,
			Expr: `sum by (stack, service) (round(increase(rhumb_replica_oom_kills_total[10m]))) > 0`,
			Text: "the kernel killed processes of {{service}} because they used too much memory: {{value}} in 10 minutes",
		}, {
			Name: "FatalLines", Severity: rhumb.SeverityWarning, Keep: time.Minute,
			// Databases write such lines while they start. What was written during a deployment doesn't count.
			Expr: `round(` + grown(`rhumb_log_lines_total{level="fatal"}`, "5m") + `) > 0 ` +
				`unless on (stack) max_over_time(rhumb_stack_deployment_open[6m]) > 0`,
			Text: "{{service}} writes log lines of level fatal: {{value}} in 5 minutes",
		}, {
			Name: "ScrapeFailed", Severity: rhumb.SeverityWarning, For: 5 * time.Minute, Keep: time.Minute,
			Expr: `rhumb_scrape_up == 0`,
			Text: "{{replica}} doesn't answer with its metrics",
		},
	}
	for i := range rules {
		rules[i].Replicas = true
	}
	return rules
}

// ofServices are the rules about what a stack's visitors get, and about its deployments.
func ofServices() []rhumb.AlertRule {
	return []rhumb.AlertRule{
		{
			Name: "ErrorRatio", Severity: rhumb.SeverityCritical, For: time.Minute, Keep: 5 * time.Minute,
			Expr: errorRatio("") + ` > 5 and ` + total("rhumb_request_errors_total", "", "5m") + ` >= 10`,
			Text: "{{value}}% of the requests to {{service}} fail",
		}, {
			Name: "HighLatency", Severity: rhumb.SeverityWarning, For: 5 * time.Minute, Keep: 5 * time.Minute,
			Expr: quantile("0.95", "") + ` > 2.5 and ` + total("rhumb_request_duration_seconds_count", "", "5m") + ` >= 30`,
			Text: "{{service}} is slow: 5% of the requests take longer than {{value}} s",
		}, {
			Name: "DeploymentFailed", Severity: rhumb.SeverityWarning,
			Expr: `rhumb_stack_deployment_failed == 1`,
			Text: "the last deployment of {{stack}} failed",
		},
	}
}

// ofMachine are the rules about the machine, certificates, and what runs the stacks. Their alerts have no stack.
func ofMachine() []rhumb.AlertRule {
	const used = `100 * (1 - rhumb_node_disk_available_bytes / rhumb_node_disk_bytes)`
	return []rhumb.AlertRule{
		{
			Name: "DiskFull", Severity: rhumb.SeverityWarning, For: 5 * time.Minute, Keep: 5 * time.Minute,
			Expr: used + ` > 85`,
			Text: "the disk with {{path}} is {{value}}% full",
		}, {
			Name: "DiskOutOfSpace", Severity: rhumb.SeverityCritical, For: time.Minute, Keep: 5 * time.Minute,
			Expr: used + ` > 95`,
			Text: "the disk with {{path}} is {{value}}% full",
		}, {
			Name: "InodesFull", Severity: rhumb.SeverityWarning, For: 5 * time.Minute, Keep: 5 * time.Minute,
			Expr: `100 * (1 - rhumb_node_disk_inodes_free / rhumb_node_disk_inodes) > 85`,
			Text: "{{value}}% of the inodes of the disk with {{path}} are in use: it has too many small files",
		}, {
			// A line through a few minutes means nothing: there must be samples of three hours ago. A pulled image or a
			// dump of a database on a disk with much room doesn't count either.
			Name: "DiskFillsWithinADay", Severity: rhumb.SeverityWarning, For: time.Hour, Keep: time.Hour,
			Expr: `predict_linear(rhumb_node_disk_available_bytes[6h], 86400) < 0 ` +
				`and rhumb_node_disk_available_bytes offset 3h > 0 and ` + used + ` > 60`,
			Text: "the disk with {{path}} will be full within a day",
		}, {
			Name: "HostMemory", Severity: rhumb.SeverityWarning, For: 10 * time.Minute, Keep: 5 * time.Minute,
			Expr: `100 * (1 - rhumb_node_memory_available_bytes / rhumb_node_memory_bytes) > 92`,
			Text: "{{value}}% of the machine's memory is in use",
		}, {
			Name: "ClockOff", Severity: rhumb.SeverityWarning, For: time.Hour,
			Expr: `rhumb_node_clock_error_seconds > 1 or rhumb_node_clock_synchronised == 0`,
			Text: "the machine's clock isn't synchronised, or may be off by more than a second",
		}, {
			Name: "CertificateExpires", Severity: rhumb.SeverityWarning, For: time.Hour,
			Expr: `(rhumb_certificate_expires_seconds - time()) / 86400 < 14`,
			Text: "the certificate of {{host}} expires in {{value}} days, and wasn't renewed",
		}, {
			Name: "EngineDown", Severity: rhumb.SeverityCritical, For: time.Minute, Keep: time.Minute,
			Expr: `rhumb_engine_up == 0`,
			Text: "the container engine doesn't answer",
		}, {
			Name: "ProcessDown", Severity: rhumb.SeverityCritical, For: 2 * time.Minute, Keep: time.Minute,
			Expr: `rhumb_process_up == 0`,
			Text: "rhumb {{process}} doesn't answer",
		},
	}
}
