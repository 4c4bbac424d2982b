package measure

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rhumb/internal/disk"
)

// machineFiles are files of a machine with two CPUs, a disk with a partition, and a bridge.
var machineFiles = map[string]string{
	"proc/stat": "cpu  46948 152 15196 58702 1876 3 373 584 9 0\ncpu0 22388 61 6833 32084 196 0 93 265 0 0\n" +
		"cpu1 24559 90 8363 26617 1679 0 279 318 0 0\nintr 1167512 0\nctxt 2131621\nbtime 1795901265\nprocesses 33116\n",
	"proc/loadavg": "1.94 1.57 0.87 4/128 651\n",
	"proc/meminfo": "MemTotal:        8131348 kB\nMemFree:          192600 kB\nMemAvailable:    6131348 kB\n" +
		"SwapCached:            0 kB\nSwapTotal:       1000000 kB\nSwapFree:         999000 kB\n",
	"proc/vmstat": "nr_free_pages 48150\noom_kill 3\n",
	"proc/diskstats": "   7       0 loop0 0 0 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n" +
		" 254       0 vda 49781 10716 2138962 17678 63478 78406 10485712 172052 0 24508 202047 21906 52\n" +
		" 254       1 vda1 49781 10716 2138962 17678 63478 78406 10485712 172052 0 24508 202047\n",
	"proc/net/dev": "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n" +
		"    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0\n" +
		"  eth0:508812548   19882    0    0    0     0          0         0  1243699   13253    0    0    0     0\n" +
		"docker0:       1       0    0    0    0     0          0         0        1       0    0    2    0     0\n",
	"proc/pressure/cpu":           "some avg10=24.59 avg60=11.89 total=134247436\nfull avg10=0.00 total=5000000\n",
	"proc/pressure/io":            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n",
	"sys/block/vda/device/vendor": "x",
	"sys/block/loop0/size":        "0",
	"sys/class/net/eth0/device/x": "x",
	"sys/class/net/docker0/x":     "x",
}

var machineSeries = map[string]float64{
	`rhumb_node_cpus{}`:                                             2,
	`rhumb_node_cpu_seconds_total{mode="user"}`:                     471,
	`rhumb_node_cpu_seconds_total{mode="system"}`:                   151.96,
	`rhumb_node_cpu_seconds_total{mode="idle"}`:                     587.02,
	`rhumb_node_cpu_seconds_total{mode="iowait"}`:                   18.76,
	`rhumb_node_cpu_seconds_total{mode="other"}`:                    3.76,
	`rhumb_node_cpu_seconds_total{mode="steal"}`:                    5.84,
	`rhumb_node_boot_seconds{}`:                                     1795901265,
	`rhumb_node_load1{}`:                                            1.94,
	`rhumb_node_memory_bytes{}`:                                     8131348 * 1024,
	`rhumb_node_memory_available_bytes{}`:                           6131348 * 1024,
	`rhumb_node_swap_bytes{}`:                                       1000000 * 1024,
	`rhumb_node_swap_free_bytes{}`:                                  999000 * 1024,
	`rhumb_node_oom_kills_total{}`:                                  3,
	`rhumb_node_disk_busy_seconds_total{device="vda"}`:              24.508,
	`rhumb_node_network_received_bytes_total{device="eth0"}`:        508812548,
	`rhumb_node_network_sent_bytes_total{device="eth0"}`:            1243699,
	`rhumb_node_pressure_seconds_total{kind="some",resource="cpu"}`: 134.247436,
	`rhumb_node_pressure_seconds_total{kind="full",resource="cpu"}`: 5,
	`rhumb_node_pressure_seconds_total{kind="some",resource="io"}`:  1.5,
	`rhumb_node_clock_synchronised{}`:                               1,
	`rhumb_node_clock_error_seconds{}`:                              0.25,
}

func TestAMachineIsMeasured(t *testing.T) {
	r := newRecord(t)
	m := newMachine(tree(t, t.TempDir(), machineFiles), newBoard(r, quiet()))
	m.clock = func() (clockState, error) { return clockState{true, 250 * time.Millisecond}, nil }
	m.sample(t.Context(), noon)
	r.is("", machineSeries)
}

func TestWhatAMachineDoesNotSayIsLeftOut(t *testing.T) {
	files := maps.Clone(machineFiles)
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.Contains(name, "pressure") })
	files["proc/meminfo"] = "MemTotal:        8131348 kB\n"
	r := newRecord(t)
	m := newMachine(tree(t, t.TempDir(), files), newBoard(r, quiet()))
	m.clock = func() (clockState, error) { return clockState{}, errors.New("not permitted") }
	m.sample(t.Context(), noon)
	want := maps.Clone(machineSeries)
	maps.DeleteFunc(want, func(name string, _ float64) bool {
		return strings.Contains(name, "pressure") || strings.Contains(name, "swap") || strings.Contains(name, "clock") ||
			strings.Contains(name, "available")
	})
	r.is("", want)
	m.clock = func() (clockState, error) { return clockState{off: time.Hour}, nil }
	m.sample(t.Context(), noon.Add(time.Second))
	r.is("rhumb_node_clock", map[string]float64{"rhumb_node_clock_synchronised{}": 0})
}

func TestTheStartOfAMachineDoesNotWaver(t *testing.T) {
	r := newRecord(t)
	m := newMachine("/nowhere", newBoard(r, quiet()))
	m.clock = func() (clockState, error) { return clockState{}, errors.New("not permitted") }
	for i, c := range []struct{ boot, want float64 }{{100, 100}, {101, 100}, {99, 100}, {102, 102}, {101, 102}} {
		m.started(c.boot)
		m.sample(t.Context(), noon.Add(time.Duration(i)*time.Second))
		r.is("", map[string]float64{"rhumb_node_boot_seconds{}": c.want})
	}
}

func TestThisMachineIsMeasured(t *testing.T) {
	r := newRecord(t)
	m := newMachine("/", newBoard(r, quiet()))
	m.sample(t.Context(), time.Now())
	s := newSpace([]string{"/", t.TempDir()}, newBoard(r, quiet()), quiet())
	s.sample(t.Context(), time.Now())
	for _, name := range []string{
		"rhumb_node_cpus{}", `rhumb_node_cpu_seconds_total{mode="idle"}`, "rhumb_node_memory_bytes{}",
		"rhumb_node_boot_seconds{}", `rhumb_node_disk_bytes{path="/"}`, `rhumb_node_disk_available_bytes{path="/"}`,
	} {
		if v := r.now(name)[name]; v <= 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	t.Log(r.now(""))
}

func TestTheFirstFolderOfAFileSystemCounts(t *testing.T) {
	r := newRecord(t)
	s := newSpace([]string{"/data", "/state", "/", "/gone"}, newBoard(r, quiet()), quiet())
	s.look = func(folder string) (filled, error) {
		switch folder {
		case "/data":
			return filled{device: 7, Usage: disk.Usage{Used: 30, Usable: 100, Inodes: 10, Free: 4}}, nil
		case "/gone":
			return filled{}, errors.New("not there")
		}
		return filled{device: 8, Usage: disk.Usage{Used: 1, Usable: 5}}, nil
	}
	s.sample(t.Context(), noon)
	r.is("", map[string]float64{
		`rhumb_node_disk_bytes{path="/data"}`: 100, `rhumb_node_disk_available_bytes{path="/data"}`: 70,
		`rhumb_node_disk_inodes{path="/data"}`: 10, `rhumb_node_disk_inodes_free{path="/data"}`: 4,
		`rhumb_node_disk_bytes{path="/state"}`: 5, `rhumb_node_disk_available_bytes{path="/state"}`: 4,
	})
}

func TestAFileSystemThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecord(t)
		s := newSpace([]string{"/nfs", "/"}, newBoard(r, quiet()), quiet())
		hang, looks := make(chan struct{}), atomic.Int32{}
		s.look = func(folder string) (filled, error) {
			if folder == "/nfs" {
				looks.Add(1)
				<-hang
				return filled{device: 1, Usage: disk.Usage{Usable: 2}}, nil
			}
			return filled{device: 2, Usage: disk.Usage{Usable: 1}}, nil
		}
		for i := range 3 {
			s.sample(t.Context(), noon.Add(time.Duration(i)*time.Second))
			r.is("rhumb_node_disk_bytes", map[string]float64{`rhumb_node_disk_bytes{path="/"}`: 1})
		}
		if n := looks.Load(); n != 1 {
			t.Errorf("%d looks hang", n)
		}
		close(hang)
		synctest.Wait()
		s.sample(t.Context(), noon.Add(time.Minute))
		r.is("rhumb_node_disk_bytes", map[string]float64{
			`rhumb_node_disk_bytes{path="/"}`: 1, `rhumb_node_disk_bytes{path="/nfs"}`: 2})
	})
}

func TestProcessesOfRhumbAreMeasured(t *testing.T) {
	root := tree(t, t.TempDir(), map[string]string{
		"proc/stat": "btime 1000\n",
		"proc/42/stat": "42 (rhumb) S x) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 9 0 1234 1200000 256 " +
			"18446744073709551615 1 1\n",
	})
	r := newRecord(t)
	list := []process{
		{name: "server", asked: true, up: true, pid: 42, goroutines: 12},
		{name: "proxy", asked: true, pid: 43, goroutines: 9},
		{name: "observe"},
	}
	ps := &processes{root: root, board: newBoard(r, quiet()), look: func() []process { return list }}
	ps.sample(t.Context(), noon)
	r.is("", map[string]float64{
		`rhumb_process_up{process="server"}`: 1, `rhumb_process_up{process="proxy"}`: 0,
		`rhumb_process_cpu_seconds_total{process="server"}`: 2,
		`rhumb_process_memory_bytes{process="server"}`:      256 * float64(os.Getpagesize()),
		`rhumb_process_started_seconds{process="server"}`:   1012.34,
		`rhumb_process_goroutines{process="server"}`:        12,
	})
}

func TestThisProcessIsMeasured(t *testing.T) {
	r := newRecord(t)
	ps := &processes{root: "/", board: newBoard(r, quiet()), look: func() []process {
		return []process{{name: "observe", asked: true, up: true, pid: os.Getpid(), goroutines: 1}}
	}}
	ps.sample(context.Background(), time.Now())
	memory := r.now("rhumb_process_memory")[`rhumb_process_memory_bytes{process="observe"}`]
	started := r.now("rhumb_process_started")[`rhumb_process_started_seconds{process="observe"}`]
	if age := unixSeconds(time.Now()) - started; memory < 1<<20 || memory > 1<<30 || age < -2 || age > 3600 {
		t.Errorf("memory %v, age %v", memory, age)
	}
	statm, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(os.Getpid()), "statm"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	if now := float64(pages * os.Getpagesize()); memory < now*0.5 || memory > now*2 {
		t.Errorf("memory %v, and statm says %v", memory, now)
	}
}
