package why

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// signal is one thing that is read from the series.
type signal int

const (
	requests signal = iota // per second
	failures               // failed requests per second
	requestsByRelease
	failuresByRelease
	p95
	p95ByRelease
	unserved // connections and requests in a step
	cut
	cpu // in CPUs
	throttled
	memory     // bytes of the largest replica
	memoryFull // of the limit of the fullest replica
	oomKills   // in a step
	restarts   // in a step
	unhealthy
	wanted
	lacking // replicas that aren't ready
	diskUse // bytes per second
	errorLines
	stackCPU // of all stacks, of the machine's CPUs
	nodeCPU
	nodeSteal
	nodeMemory // used, of all
	nodeSwap   // used, of all
	nodeOOM
	memoryStall // pressure
	ioStall
	diskLeft // of the file system
	inodesLeft
	diskBusy
	engineUp
	processStarted
	boot
	expires
	signals // how many there are
)

// expressions are what is evaluated for each signal. $S chooses the stack, $W is the time over which rates are taken.
var expressions = [signals]string{
	requests:          `sum by (stack, service) (rate(rhumb_requests_total{$S}[$W]))`,
	failures:          `sum by (stack, service) (rate(rhumb_request_errors_total{$S}[$W]))`,
	requestsByRelease: `sum by (stack, service, release) (rate(rhumb_requests_total{$S}[$W]))`,
	failuresByRelease: `sum by (stack, service, release) (rate(rhumb_request_errors_total{$S}[$W]))`,
	p95: `histogram_quantile(0.95, sum by (stack, service, le) (` +
		`rate(rhumb_request_duration_seconds_bucket{$S}[$W])))`,
	p95ByRelease: `histogram_quantile(0.95, sum by (stack, service, release, le) (` +
		`rate(rhumb_request_duration_seconds_bucket{$S}[$W])))`,
	unserved:  `sum by (stack, service) (increase(rhumb_unserved_total{$S}[$W]))`,
	cut:       `sum by (stack, service) (increase(rhumb_cut_total{$S}[$W]))`,
	cpu:       `sum by (stack, service) (rate(rhumb_replica_cpu_seconds_total{$S}[$W]))`,
	throttled: `max by (stack, service) (rate(rhumb_replica_cpu_throttled_seconds_total{$S}[$W]))`,
	memory:    `max by (stack, service) (rhumb_replica_memory_bytes{$S})`,
	memoryFull: `max by (stack, service) (` +
		`rhumb_replica_memory_bytes{$S} / rhumb_replica_memory_limit_bytes{$S})`,
	oomKills:  `sum by (stack, service) (increase(rhumb_replica_oom_kills_total{$S}[$W]))`,
	restarts:  `sum by (stack, service) (increase(rhumb_service_restarts_total{$S}[$W]))`,
	unhealthy: `max by (stack, service) (rhumb_replica_unhealthy{$S})`,
	wanted:    `sum by (stack, service) (rhumb_service_replicas{$S})`,
	lacking: `sum by (stack, service) (` +
		`rhumb_service_replicas{$S} - rhumb_service_replicas_ready{$S})`,
	diskUse: `sum by (stack, service) (` +
		`rate(rhumb_replica_disk_read_bytes_total{$S}[$W]) + rate(rhumb_replica_disk_written_bytes_total{$S}[$W]))`,
	errorLines: `sum by (stack, service) (rate(rhumb_log_lines_total{level=~"error|fatal",$S}[$W]))`,
	stackCPU: `sum by (stack) (rate(rhumb_replica_cpu_seconds_total[$W])) ` +
		`/ scalar(sum(rhumb_node_cpus))`,
	nodeCPU: `sum(rate(rhumb_node_cpu_seconds_total{mode!~"idle|iowait|steal"}[$W])) ` +
		`/ sum(rhumb_node_cpus)`,
	nodeSteal: `sum(rate(rhumb_node_cpu_seconds_total{mode="steal"}[$W])) ` +
		`/ sum(rhumb_node_cpus)`,
	nodeMemory: `1 - sum(rhumb_node_memory_available_bytes) / sum(rhumb_node_memory_bytes)`,
	nodeSwap:   `1 - sum(rhumb_node_swap_free_bytes) / sum(rhumb_node_swap_bytes)`,
	nodeOOM:    `sum(increase(rhumb_node_oom_kills_total[$W]))`,
	memoryStall: `sum(rate(rhumb_node_pressure_seconds_total{` +
		`resource="memory",kind="some"}[$W]))`,
	ioStall: `sum(rate(rhumb_node_pressure_seconds_total{` +
		`resource="io",kind="some"}[$W]))`,
	diskLeft:       `rhumb_node_disk_available_bytes / rhumb_node_disk_bytes`,
	inodesLeft:     `rhumb_node_disk_inodes_free / rhumb_node_disk_inodes`,
	diskBusy:       `rate(rhumb_node_disk_busy_seconds_total[$W])`,
	engineUp:       `rhumb_engine_up`,
	processStarted: `rhumb_process_started_seconds`,
	boot:           `rhumb_node_boot_seconds`,
	expires:        `rhumb_certificate_expires_seconds`,
}

// expr returns the expression of a signal for one stack; "" for all stacks.
func (s signal) expr(stack string, over time.Duration) string {
	chosen := ""
	if stack != "" {
		chosen = fmt.Sprintf("stack=%q", stack)
	}
	return strings.NewReplacer("$S", chosen, "$W", fmt.Sprintf("%ds", int(over.Seconds()))).Replace(expressions[s])
}

// key is what a series is about.
type key struct{ stack, service, other string } // other: a release, path, device, host or process

// less orders keys.
func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.stack, o.stack), cmp.Compare(k.service, o.service), cmp.Compare(k.other, o.other))
}

// keyOf returns the key of a series with these labels.
func keyOf(labels map[string]string) key {
	return key{labels["stack"], labels["service"], cmp.Or(labels["release"], labels["path"], labels["device"],
		labels["host"], labels["process"])}
}
