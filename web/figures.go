package web

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

// figures are what is measured of a service, or of a whole stack, now.
type figures struct {
	Err      error // why nothing is known
	Served   bool  // requests are counted for it
	Requests float64
	Errors   float64 // of the requests, a ratio
	P95      float64 // seconds
	HasP95   bool
	Spark    []rhumb.Point // requests per second within the last hour

	CPU         float64 // CPUs in use
	CPULimit    float64 // 0: none
	Memory      float64 // bytes
	MemoryLimit float64 // 0: none
	Measured    bool    // CPU and memory are known
}

// trafficTime is how long back the page of a stack draws its traffic.
const trafficTime = 6 * time.Hour

// measured is what is asked of the metrics for a stack.
type measured struct {
	requests, errs, p95, allP95, spark, byRelease *answer[[]rhumb.Series]
	cpu, cpuLimit, memory, memoryLimit            *answer[[]rhumb.Series]
}

// askFigures begins to ask for the figures of a stack.
func askFigures(s *server, as *answers, stack string) *measured {
	of := "{stack=" + quoted(stack) + "}"
	now := func(expr string) *answer[[]rhumb.Series] { return s.askMetric(as, expr, 0, 0) }
	per := func(name, window string) string { return "sum by (service) (rate(" + name + of + "[" + window + "]))" }
	const bucket = "rhumb_request_duration_seconds_bucket"
	requests := per("rhumb_requests_total", "1m")
	return &measured{
		requests: now(requests),
		errs:     now(per("rhumb_request_errors_total", "5m") + " / " + per("rhumb_requests_total", "5m")),
		p95:      now("histogram_quantile(0.95, sum by (service, le) (rate(" + bucket + of + "[5m])))"),
		allP95:   now("histogram_quantile(0.95, sum by (le) (rate(" + bucket + of + "[5m])))"),
		spark:    s.askMetric(as, requests, time.Hour, time.Minute),
		byRelease: s.askMetric(as, "sum by (release) (rate(rhumb_requests_total"+of+"[5m]))", trafficTime,
			2*time.Minute),
		cpu:         now(per("rhumb_replica_cpu_seconds_total", "1m")),
		cpuLimit:    now("sum by (service) (rhumb_replica_cpu_limit" + of + ")"),
		memory:      now("sum by (service) (rhumb_replica_memory_bytes" + of + ")"),
		memoryLimit: now("sum by (service) (rhumb_replica_memory_limit_bytes" + of + ")"),
	}
}

// of returns the figures of a service.
func (m *measured) of(service string) figures {
	at := func(a *answer[[]rhumb.Series]) float64 { return lastBy("service", a.Is)[service] }
	f := figures{Err: m.requests.Err, Requests: at(m.requests), Errors: at(m.errs), P95: at(m.p95),
		Spark: pointsBy("service", m.spark.Is)[service], CPU: at(m.cpu), CPULimit: at(m.cpuLimit),
		Memory: at(m.memory), MemoryLimit: at(m.memoryLimit)}
	_, f.Served = lastBy("service", m.requests.Is)[service]
	_, f.HasP95 = lastBy("service", m.p95.Is)[service]
	_, f.Measured = lastBy("service", m.memory.Is)[service]
	return f
}

// total returns the figures of all services together.
func (m *measured) total() figures {
	f := figures{Err: m.requests.Err}
	errs := lastBy("service", m.errs.Is)
	for service, v := range lastBy("service", m.requests.Is) {
		f.Served = true
		f.Requests += v
		f.Errors += v * errs[service]
	}
	if f.Requests > 0 {
		f.Errors /= f.Requests
	}
	for _, v := range lastBy("", m.allP95.Is) {
		f.P95, f.HasP95 = v, true
	}
	return f
}

// services returns the services that are measured, sorted.
func (m *measured) services() []string {
	return slices.Sorted(maps.Keys(lastBy("service", m.memory.Is)))
}

// chart returns the requests of the last hours, by release: the newest in the accent, the one before it grey.
func (m *measured) chart() chart.Line {
	c := chart.Line{Title: "Requests per second, by release", Unit: chart.PerSecond, Height: 160}
	series := slices.Clone(m.byRelease.Is)
	number := func(s rhumb.Series) int {
		n, _ := strconv.Atoi(s.Labels["release"])
		return n
	}
	slices.SortFunc(series, func(a, b rhumb.Series) int { return number(b) - number(a) })
	for i, s := range series {
		tone := [...]chart.Tone{chart.ToneNew, chart.ToneOld, chart.ToneOlder}[min(i, 2)]
		c.Series = append(c.Series, chart.Series{Name: "release " + s.Labels["release"], Tone: tone, Points: s.Points})
	}
	return c
}
