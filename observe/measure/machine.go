package measure

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"time"

	"rhumb/observe/measure/internal/cgroup"
	"rhumb/observe/measure/internal/kernfile"
)

// ticksPerSecond is in what the kernel counts CPU time for programs, on every architecture.
const ticksPerSecond = 100

// machine measures the machine itself, but not its disks' space.
type machine struct {
	root  string
	board *board
	clock func() (clockState, error)
	boot  float64 // as last reported
	buf   []byte
}

func newMachine(root string, b *board) *machine {
	return &machine{root: root, board: b, clock: lookAtClock}
}

// sample measures the machine. What the kernel doesn't say is left out.
func (m *machine) sample(ctx context.Context, at time.Time) {
	for file, take := range map[string]func([]byte){
		"stat": m.cpu, "loadavg": m.load, "meminfo": m.memory, "vmstat": m.kills, "diskstats": m.disks, "net/dev": m.network,
	} {
		if text, ok := m.read(file); ok {
			take(text)
		}
	}
	for _, resource := range cgroup.Resources {
		if text, ok := m.read("pressure/" + resource); ok {
			for _, kind := range []string{"some", "full"} {
				m.board.set(cgroup.Stalled(text, kind), "rhumb_node_pressure_seconds_total", "resource", resource, "kind", kind)
			}
		}
	}
	m.time()
	m.board.publish(ctx, at)
}

// read reads a file of /proc. The text is valid until the next one is read.
func (m *machine) read(name string) ([]byte, bool) {
	text, err := kernfile.ReadFile(filepath.Join(m.root, "proc", name), m.buf)
	m.buf = text[:0]
	return text, err == nil
}

// cpu reads "cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL ...", and a line for each CPU.
func (m *machine) cpu(text []byte) {
	cpus := 0
	for line := range bytes.Lines(text) {
		name, rest, _ := bytes.Cut(line, []byte(" "))
		if len(name) > 3 && bytes.HasPrefix(name, []byte("cpu")) {
			cpus++
		}
		if string(name) != "cpu" {
			continue
		}
		for mode, ticks := range map[string]float64{
			"user": field(rest, 0) + field(rest, 1), "system": field(rest, 2), "idle": field(rest, 3),
			"iowait": field(rest, 4), "other": field(rest, 5) + field(rest, 6), "steal": field(rest, 7),
		} {
			m.board.set(ticks/ticksPerSecond, "rhumb_node_cpu_seconds_total", "mode", mode)
		}
	}
	if cpus > 0 {
		m.board.set(float64(cpus), "rhumb_node_cpus")
	}
	m.started(kernfile.Value(text, "btime"))
}

// started adds when the machine was started. The kernel computes that from its clock, so it may change by a second.
func (m *machine) started(boot float64) {
	if math.IsNaN(boot) || math.Abs(boot-m.boot) > 1 {
		m.boot = boot
	}
	m.board.set(m.boot, "rhumb_node_boot_seconds")
}

func (m *machine) load(text []byte) { m.board.set(kernfile.Number(text), "rhumb_node_load1") }

func (m *machine) memory(text []byte) {
	for key, name := range map[string]string{
		"MemTotal": "rhumb_node_memory_bytes", "MemAvailable": "rhumb_node_memory_available_bytes",
		"SwapTotal": "rhumb_node_swap_bytes", "SwapFree": "rhumb_node_swap_free_bytes",
	} {
		m.board.set(kernfile.Value(text, key)*1024, name)
	}
}

func (m *machine) kills(text []byte) {
	m.board.set(kernfile.Value(text, "oom_kill"), "rhumb_node_oom_kills_total")
}

// disks reads "MAJOR MINOR NAME" and further numbers, the tenth of which is how many milliseconds the disk was busy.
func (m *machine) disks(text []byte) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) < 13 || !m.device("block", string(f[2])) {
			continue
		}
		m.board.set(kernfile.Number(f[12])/1000, "rhumb_node_disk_busy_seconds_total", "device", string(f[2]))
	}
}

func (m *machine) network(text []byte) {
	for i := range interfaces(text) {
		if name := string(i.name); m.device("class/net", name) {
			m.board.set(i.received, "rhumb_node_network_received_bytes_total", "device", name)
			m.board.set(i.sent, "rhumb_node_network_sent_bytes_total", "device", name)
		}
	}
}

// device reports whether a disk or an interface is a device of the machine: a partition, a bridge or a loop isn't.
func (m *machine) device(folder, name string) bool {
	_, err := os.Stat(filepath.Join(m.root, "sys", folder, name, "device"))
	return err == nil
}

// time adds how well the machine's clock goes.
func (m *machine) time() {
	c, err := m.clock()
	if err != nil {
		return // it may not be asked
	}
	m.board.set(number(c.synchronised), "rhumb_node_clock_synchronised")
	if c.synchronised {
		m.board.set(c.off.Seconds(), "rhumb_node_clock_error_seconds")
	}
}
