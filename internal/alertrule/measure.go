package alertrule

import (
	"slices"
	"strings"
	"time"
)

// unit is what may follow a number.
type unit struct {
	name   string
	factor float64 // from the number to that of the expression
	shown  string  // the unit of the expression, in texts
}

// measure is what a condition compares.
type measure struct {
	name     string
	example  string
	units    []unit
	window   time.Duration // by default, of a measure that is counted in a time; 0: it isn't
	replicas bool          // it is of single replicas
	machine  bool          // it is of the machine: a service has none
	rule     func(c comparison) (expr, text string)
}

var (
	percent = unit{"%", 1, "%"}
	count   = unit{"", 1, ""}
	// A rate is per second in the expression.
	rates = []unit{{"/s", 1, " per second"}, {"/m", 1. / 60, " per second"}, {"/min", 1. / 60, " per second"}}
	// Sizes are in MB in the expression. 1 GB is 1024 MB, as elsewhere in Compose files.
	sizes = []unit{
		{"kb", 1. / 1024, " MB"}, {"k", 1. / 1024, " MB"}, {"mb", 1, " MB"}, {"m", 1, " MB"}, {"gb", 1024, " MB"},
		{"g", 1024, " MB"},
	}
	times = []unit{{"ms", 0.001, " s"}, {"s", 1, " s"}}
)

// measures are all that a condition can compare.
var measures = []measure{
	{name: "cpu", example: "cpu > 80% for 5m, or cpu > 1.5 (CPUs)", units: []unit{percent, count}, replicas: true,
		rule: cpu},
	{name: "memory", example: "memory > 90%, or memory > 500MB", units: append([]unit{percent}, sizes...), replicas: true,
		rule: memory},
	{name: "errors", example: "errors > 5%, or errors > 2/s", units: append([]unit{percent}, rates...), rule: failures},
	{name: "requests", example: "requests < 1/s for 10m", units: rates, rule: requests},
	{name: "latency_p50", example: "latency_p50 > 100ms for 5m", units: times, rule: latency},
	{name: "latency_p90", example: "latency_p90 > 200ms for 5m", units: times, rule: latency},
	{name: "latency_p95", example: "latency_p95 > 300ms for 5m", units: times, rule: latency},
	{name: "latency_p99", example: "latency_p99 > 500ms for 5m", units: times, rule: latency},
	{name: "restarts", example: "restarts > 3 in 10m", units: []unit{count}, window: 10 * time.Minute, replicas: true,
		rule: restarts},
	{name: "error_lines", example: "error_lines > 10 in 5m", units: []unit{count}, window: 5 * time.Minute,
		rule: errorLines},
	{name: "disk", example: "disk > 85%", units: []unit{percent}, machine: true, rule: disk},
}

// measure reads the name of what is compared.
func (p *parser) measure() (*measure, error) {
	w := p.next()
	i := slices.IndexFunc(measures, func(m measure) bool { return m.name == w.text })
	switch {
	case w.text == "":
		return nil, wrong(w, example, "the condition is empty")
	case i < 0:
		return nil, wrong(w, "there is "+strings.Join(p.names(), ", ")+"; anything else can be written as {expr: PROMQL}",
			"%s can't be compared", shown(w))
	case measures[i].machine && p.scope.Service != "":
		return nil, wrong(w, "move it to x-rhumb.alerts at the top level", "a service has no %s of its own", w.text)
	}
	return &measures[i], nil
}

// names returns the names of what can be compared.
func (p *parser) names() []string {
	var names []string
	for _, m := range measures {
		if !m.machine || p.scope.Service == "" {
			names = append(names, m.name)
		}
	}
	return names
}

// unit returns the unit of that name, in either case.
func (m *measure) unit(name string) (unit, bool) {
	i := slices.IndexFunc(m.units, func(u unit) bool { return u.name == strings.ToLower(name) })
	if i < 0 {
		return unit{}, false
	}
	return m.units[i], true
}

// cpu compares CPUs, or the share of a replica's limit; without a limit, of the machine.
func cpu(c comparison) (expr, text string) {
	sel := c.scope.selector()
	used := "rate(rhumb_replica_cpu_seconds_total" + sel + "[1m])"
	if c.unit != percent {
		return used + " " + c.compare(), "{{replica}} uses CPUs: " + c.is("")
	}
	return "100 * (" + used + " / rhumb_replica_cpu_limit" + sel + " or " + used + " / scalar(max(rhumb_node_cpus))) " +
		c.compare(), "CPU of {{replica}}: " + c.is("%")
}

// memory compares MB, or the share of a replica's limit; without a limit, of the machine's memory.
func memory(c comparison) (expr, text string) {
	sel := c.scope.selector()
	used := "rhumb_replica_memory_bytes" + sel
	if c.unit != percent {
		return used + " / 1048576 " + c.compare(), "memory of {{replica}}: " + c.is(c.unit.shown)
	}
	return "100 * (" + used + " / rhumb_replica_memory_limit_bytes" + sel + " or " + used +
		" / scalar(max(rhumb_node_memory_bytes))) " + c.compare(), "memory of {{replica}}: " + c.is("%")
}

// failures compares the share of failed requests, of which there must be some, or how many fail.
func failures(c comparison) (expr, text string) {
	sel := c.scope.selector()
	if c.unit != percent {
		return "sum by (stack, service) (rate(rhumb_request_errors_total" + sel + "[5m])) " + c.compare(),
			"failed requests to " + subject + ": " + c.is(c.unit.shown)
	}
	return errorRatio(sel) + " " + c.compare() + " and " + total("rhumb_request_errors_total", sel, "5m") + " >= 10",
		"failed requests to " + subject + ": " + c.is("%")
}

// requests compares how many requests come. A service without any has none a second.
func requests(c comparison) (expr, text string) {
	sel := c.scope.selector()
	return "(sum by (stack, service) (rate(rhumb_requests_total" + sel + "[5m])) or sum by (stack, service) (0 * " +
			"rhumb_service_replicas" + sel + ")) " + c.compare(),
		"requests to " + subject + ": " + c.is(c.unit.shown)
}

// latency compares a quantile of the time until an answer, if there are some requests.
func latency(c comparison) (expr, text string) {
	sel := c.scope.selector()
	n := strings.TrimPrefix(c.measure.name, "latency_p")
	return quantile("0."+n, sel) + " " + c.compare() + " and " +
			total("rhumb_request_duration_seconds_count", sel, "5m") + " >= 20",
		"latency (p" + n + ") of " + subject + ": " + c.is(c.unit.shown)
}

// restarts compares crashes. A rate grows a little over what it counted; rounding takes that away.
func restarts(c comparison) (expr, text string) {
	return "round(sum by (stack, service) (increase(rhumb_service_restarts_total" + c.scope.selector() + "[" +
			spanOf(c.window) + "]))) " + c.compare(),
		"crashes of " + subject + " in " + spanOf(c.window) + ": " + c.is("")
}

// errorLines compares the number of log lines of level error and fatal.
func errorLines(c comparison) (expr, text string) {
	return "round(" + grown("rhumb_log_lines_total"+c.scope.selector(`level=~"error|fatal"`), spanOf(c.window)) + ") " +
			c.compare(),
		"log lines of " + subject + " with errors in " + spanOf(c.window) + ": " + c.is("")
}

func disk(c comparison) (expr, text string) {
	return "100 * (1 - rhumb_node_disk_available_bytes / rhumb_node_disk_bytes) " + c.compare(),
		"disk with {{path}}: " + c.is("%")
}
