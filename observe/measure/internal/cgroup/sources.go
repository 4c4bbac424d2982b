package cgroup

import (
	"bytes"
	"math"
	"os"
	"path/filepath"

	"rhumb/observe/measure/internal/kernfile"
)

// source is a file from which a group's usage is read.
type source struct {
	topic      string   // the first source of a topic that is there counts
	controller string   // of version 1; "": version 2
	names      []string // the first that is there is read
	take       func(text []byte, r *reading)
}

const (
	microsecond = 1e-6
	nanosecond  = 1e-9
	// unlimited is far above any limit that is meant. Version 1 says "no limit" with the largest number of pages.
	unlimited = 1 << 60
)

var sources = []source{
	{"cpu", "cpuacct", []string{"cpuacct.usage"}, func(b []byte, r *reading) { r.CPU = kernfile.Number(b) * nanosecond }},
	{"throttled", "cpu", []string{"cpu.stat"}, func(b []byte, r *reading) {
		r.Throttled = kernfile.Value(b, "throttled_time") * nanosecond
	}},
	{"quota", "cpu", []string{"cpu.cfs_quota_us"}, func(b []byte, r *reading) { r.quota = kernfile.Number(b) }},
	{"period", "cpu", []string{"cpu.cfs_period_us"}, func(b []byte, r *reading) { r.period = kernfile.Number(b) }},
	{"memory", "memory", []string{"memory.usage_in_bytes"}, func(b []byte, r *reading) { r.Memory = kernfile.Number(b) }},
	{"inactive", "memory", []string{"memory.stat"}, func(b []byte, r *reading) {
		r.inactive = kernfile.Value(b, "total_inactive_file")
	}},
	{"limit", "memory", []string{"memory.limit_in_bytes"}, memoryLimit},
	{"oom", "memory", []string{"memory.oom_control"}, oomKills},
	{"io", "blkio", []string{"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"}, serviced},
	{"io of BFQ", "blkio", []string{"blkio.bfq.io_service_bytes_recursive", "blkio.bfq.io_service_bytes"}, serviced},
	{"processes", "pids", []string{"pids.current"}, processes},

	{"cpu", "", []string{"cpu.stat"}, func(b []byte, r *reading) {
		r.CPU = kernfile.Value(b, "usage_usec") * microsecond
		r.Throttled = kernfile.Value(b, "throttled_usec") * microsecond
	}},
	{"quota", "", []string{"cpu.max"}, func(b []byte, r *reading) {
		r.quota = kernfile.Number(b) // "max": none
		if _, period, ok := bytes.Cut(b, []byte(" ")); ok {
			r.period = kernfile.Number(period)
		}
	}},
	{"memory", "", []string{"memory.current"}, func(b []byte, r *reading) { r.Memory = kernfile.Number(b) }},
	{"inactive", "", []string{"memory.stat"}, func(b []byte, r *reading) {
		r.inactive = kernfile.Value(b, "inactive_file")
	}},
	{"limit", "", []string{"memory.max"}, memoryLimit},
	{"oom", "", []string{"memory.events"}, oomKills},
	{"io", "", []string{"io.stat"}, statistics},
	{"processes", "", []string{"pids.current"}, processes},
	{"pressure cpu", "", []string{"cpu.pressure"}, pressure(0)},
	{"pressure memory", "", []string{"memory.pressure"}, pressure(1)},
	{"pressure io", "", []string{"io.pressure"}, pressure(2)},
}

func memoryLimit(b []byte, r *reading) {
	if v := kernfile.Number(b); v < unlimited { // "max" is no number
		r.MemoryLimit = v
	}
}

func oomKills(b []byte, r *reading) { r.OOMKills = kernfile.Value(b, "oom_kill") }

func processes(b []byte, r *reading) { r.Processes = kernfile.Number(b) }

func pressure(resource int) func([]byte, *reading) {
	return func(b []byte, r *reading) { r.Pressure[resource] = Stalled(b, "some") }
}

// Stalled returns the time of a kind ("some" or "full") in a file of the kernel's pressure information, in seconds.
// NaN: there is none.
func Stalled(text []byte, kind string) float64 {
	for line := range bytes.Lines(text) {
		if _, total, ok := bytes.Cut(line, []byte(" total=")); ok && bytes.HasPrefix(line, []byte(kind+" ")) {
			return kernfile.Number(total) * microsecond
		}
	}
	return math.NaN()
}

// serviced reads the bytes of version 1: "8:0 Read 4096" for each device and kind. Newer kernels count them only for
// disks with the scheduler BFQ, or with a limit: without a device nothing is known.
func serviced(b []byte, r *reading) {
	read, written, known := 0.0, 0.0, false
	for line := range bytes.Lines(b) {
		device, rest, _ := bytes.Cut(line, []byte(" "))
		kind, n, ok := bytes.Cut(rest, []byte(" "))
		if !ok || !r.disks.is(device) {
			continue
		}
		known = true
		switch string(kind) {
		case "Read":
			read += kernfile.Number(n)
		case "Write":
			written += kernfile.Number(n)
		}
	}
	if known && !(r.Read+r.Written > read+written) {
		r.Read, r.Written = read, written
	}
}

// statistics reads the bytes of version 2: "8:0 rbytes=4096 wbytes=0 ..." for each device.
func statistics(b []byte, r *reading) {
	r.Read, r.Written = 0, 0
	for line := range bytes.Lines(b) {
		device, rest, _ := bytes.Cut(line, []byte(" "))
		if !r.disks.is(device) {
			continue
		}
		for _, f := range []struct {
			key string
			to  *float64
		}{{"rbytes=", &r.Read}, {"wbytes=", &r.Written}} {
			if _, n, ok := bytes.Cut(rest, []byte(f.key)); ok {
				*f.to += kernfile.Number(n)
			}
		}
	}
}

// disks remembers which block devices are disks. What is written to a device that is made of others is counted for each
// of those again.
type disks struct {
	root  string
	whole map[string]bool // by "major:minor"
}

func (d *disks) is(device []byte) bool {
	whole, ok := d.whole[string(device)]
	if !ok {
		made, err := os.ReadDir(filepath.Join(d.root, "sys/dev/block", string(device), "slaves"))
		whole = err != nil || len(made) == 0
		d.whole[string(device)] = whole
	}
	return whole
}
