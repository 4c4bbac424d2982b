package cgroup_test

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
	"rhumb/observe/measure/internal/cgroup"
)

const (
	id       = "3fff3413c45537dedfe58e21aaf2c12c1a950cc7f817f11a298551437ab8d292"
	v2Mount  = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
	oneMount = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
)

// v1Mounts are the mounts of version 1 as systemd makes them, CPU and its accounting together.
var v1Mounts = oneMount + "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
	"35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n" +
	"39 31 0:36 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n" +
	"40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" +
	"41 31 0:38 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"

// v1 returns the files of a group of version 1.
func v1(path string) map[string]string {
	f := map[string]string{
		"cpu,cpuacct/cpuacct.usage": "41299877123\n",
		"cpu,cpuacct/cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 1500000000\nnr_bursts 0\n" +
			"burst_time 0\n",
		"cpu,cpuacct/cpu.cfs_quota_us":  "50000\n",
		"cpu,cpuacct/cpu.cfs_period_us": "100000\n",
		"memory/memory.usage_in_bytes":  "1863680\n",
		"memory/memory.limit_in_bytes":  "67108864\n",
		"memory/memory.oom_control":     "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
		"memory/memory.stat":            "cache 1134592\ninactive_file 1\ntotal_inactive_file 901120\n",
		"blkio/blkio.throttle.io_service_bytes_recursive": "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 8192\n" +
			"254:0 Total 12288\n253:1 Read 4096\n253:1 Write 8192\nTotal 24576\n",
		"pids/pids.current": "7\n",
	}
	return below("sys/fs/cgroup", path, f)
}

// v2 returns the files of a group of version 2.
func v2(path string) map[string]string {
	const pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n" +
		"full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"
	files := map[string]string{
		"cpu.stat": "usage_usec 41299877\nuser_usec 1\nsystem_usec 2\nnr_periods 4\nnr_throttled 2\n" +
			"throttled_usec 1500000\n",
		"cpu.max":        "50000 100000\n",
		"memory.current": "1863680\n",
		"memory.max":     "67108864\n",
		"memory.events":  "low 0\nhigh 0\nmax 12\noom 3\noom_kill 3\noom_group_kill 0\n",
		"memory.stat":    "anon 98304\nfile 1134592\ninactive_anon 5\ninactive_file 901120\nactive_file 233472\n",
		"io.stat": "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n" +
			"253:1 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n",
		"pids.current":    "7\n",
		"cpu.pressure":    pressure,
		"memory.pressure": strings.ReplaceAll(pressure, "25", "35"),
		"io.pressure":     strings.ReplaceAll(pressure, "25", "45"),
	}
	return below("sys/fs/cgroup", path, map[string]string{}, files)
}

// below returns files in folders: those of maps with a hierarchy in their names have the path between it and the file.
func below(folder, path string, files ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, group := range files {
		for name, text := range group {
			hierarchy, file, ok := strings.Cut(name, "/")
			if !ok {
				hierarchy, file = "", name
			}
			all[filepath.Join(folder, hierarchy, path, file)] = text
		}
	}
	return all
}

// full is what both groups have used.
var full = cgroup.Usage{CPU: 41.299877123, Throttled: 1.5, CPULimit: 0.5, Memory: 962560, MemoryLimit: 67108864,
	OOMKills: 3, Read: 4096, Written: 8192, Processes: 7, Pressure: [3]float64{2.5, 3.5, 4.5}}

// with returns the usage after a change.
func with(change func(u *cgroup.Usage)) cgroup.Usage {
	u := full
	change(&u)
	return u
}

var none = math.NaN()

func noPressure(u *cgroup.Usage) { u.Pressure = [3]float64{none, none, none} }

// recorded are trees as kernels and engines make them.
var recorded = map[string]struct {
	mounts, groups string
	files          map[string]string
	without        []string // files that aren't there
	change         map[string]string
	want           cgroup.Usage
}{
	"version 1, cgroupfs": {
		mounts: v1Mounts, groups: v1Groups("/docker/" + id), files: v1("docker/" + id), want: with(noPressure),
	},
	"version 1, systemd": {
		mounts: v1Mounts, groups: v1Groups("/system.slice/docker-" + id + ".scope"),
		files: v1("system.slice/docker-" + id + ".scope"), want: with(noPressure),
	},
	"version 1 without limits, pids and recursive counters": {
		mounts: v1Mounts, groups: v1Groups("/docker/" + id), files: v1("docker/" + id),
		without: []string{"pids.current", "io_service_bytes_recursive"},
		change:  map[string]string{"cpu.cfs_quota_us": "-1\n", "memory.limit_in_bytes": "9223372036854771712\n"},
		want: with(func(u *cgroup.Usage) {
			noPressure(u)
			u.CPULimit, u.MemoryLimit, u.Processes, u.Read, u.Written = none, none, none, none, none
		}),
	},
	"version 1, and version 2 beside it": {
		mounts: v1Mounts + "42 31 0:39 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
		groups: v1Groups("/docker/"+id) + "0::/docker/" + id + "\n",
		files:  joined(v1("docker/"+id), unified("docker/"+id)), want: full,
	},
	"version 1, and another group in version 2": {
		mounts: v1Mounts + "42 31 0:39 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
		groups: v1Groups("/docker/"+id) + "0::/system.slice/docker.service\n",
		files:  joined(v1("docker/"+id), unified("system.slice/docker.service")), want: with(noPressure),
	},
	"version 1, with bytes that only BFQ counts": {
		mounts: v1Mounts, groups: v1Groups("/docker/" + id),
		files: joined(v1("docker/"+id), map[string]string{
			"sys/fs/cgroup/blkio/docker/" + id + "/blkio.bfq.io_service_bytes_recursive": "254:0 Read 5\n254:0 Write 6\n"}),
		change: map[string]string{"throttle.io_service_bytes_recursive": "Total 0\n"},
		want: with(func(u *cgroup.Usage) {
			noPressure(u)
			u.Read, u.Written = 5, 6
		}),
	},
	"version 1, with bytes that aren't counted": {
		mounts: v1Mounts, groups: v1Groups("/docker/" + id), files: v1("docker/" + id),
		change: map[string]string{"throttle.io_service_bytes_recursive": "Total 0\n"},
		want: with(func(u *cgroup.Usage) {
			noPressure(u)
			u.Read, u.Written = none, none
		}),
	},
	"version 2, systemd": {
		mounts: v2Mount, groups: "0::/system.slice/docker-" + id + ".scope\n",
		files: v2("system.slice/docker-" + id + ".scope"),
		want:  with(func(u *cgroup.Usage) { u.CPU = 41.299877 }),
	},
	"version 2, cgroupfs, without limits and pressure": {
		mounts: v2Mount, groups: "0::/docker/" + id + "\n", files: v2("docker/" + id),
		without: []string{".pressure"},
		change:  map[string]string{"cpu.max": "max 100000\n", "memory.max": "max\n"},
		want: with(func(u *cgroup.Usage) {
			noPressure(u)
			u.CPU, u.CPULimit, u.MemoryLimit = 41.299877, none, none
		}),
	},
	"version 2, in a group that the container made": {
		mounts: v2Mount, groups: "0::/docker/" + id + "/init.scope\n", files: v2("docker/" + id),
		want: with(func(u *cgroup.Usage) { u.CPU = 41.299877 }),
	},
	"version 2, seen from inside a container": {
		mounts: strings.ReplaceAll(v2Mount, " / ", " /docker/outer "), groups: "0::/docker/outer/docker/" + id + "\n",
		files: v2("docker/" + id), want: with(func(u *cgroup.Usage) { u.CPU = 41.299877 }),
	},
	"version 2, all of it inactive": {
		mounts: v2Mount, groups: "0::/docker/" + id + "\n", files: v2("docker/" + id),
		change: map[string]string{"memory.current": "4096\n"},
		want:   with(func(u *cgroup.Usage) { u.CPU, u.Memory = 41.299877, 0 }),
	},
}

func v1Groups(path string) string {
	return "9:name=systemd:" + path + "\n8:pids:" + path + "\n7:blkio:" + path + "\n4:memory:" + path +
		"\n2:cpu,cpuacct:" + path + "\n"
}

// unified returns the files that version 2 has beside version 1.
func unified(path string) map[string]string {
	all := map[string]string{}
	for name, text := range v2(path) {
		if strings.HasSuffix(name, ".pressure") || strings.HasSuffix(name, "cpu.stat") {
			all[strings.Replace(name, "sys/fs/cgroup", "sys/fs/cgroup/unified", 1)] = text
		}
	}
	return all
}

func joined(all ...map[string]string) map[string]string {
	sum := map[string]string{}
	for _, m := range all {
		maps.Copy(sum, m)
	}
	return sum
}

func TestGroupsOfAllKindsAreRead(t *testing.T) {
	for name, c := range recorded {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "proc/self/mountinfo", c.mounts)
			write(t, root, "proc/4711/cgroup", c.groups)
			write(t, root, "sys/dev/block/253:1/slaves/vda/size", "1") // a device that is made of another
			for file, text := range c.files {
				keep := true
				for _, missing := range c.without {
					keep = keep && !strings.HasSuffix(file, missing)
				}
				for end, other := range c.change {
					if strings.HasSuffix(file, end) {
						text = other
					}
				}
				if keep {
					write(t, root, file, text)
				}
			}
			g, err := cgroup.Open(root, 4711, id)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			for range 2 { // the files stay open
				if u, err := g.Read(); err != nil || !same(u, c.want) {
					t.Errorf("got  %+v, %v\nwant %+v", u, err, c.want)
				}
			}
		})
	}
}

func TestAProcessOutsideOfItsContainerHasNoGroup(t *testing.T) {
	root := t.TempDir()
	write(t, root, "proc/self/mountinfo", v2Mount)
	write(t, root, "proc/1/cgroup", "0::/init.scope\n")
	write(t, root, "proc/2/cgroup", "0::/docker/"+id+"\n") // its folder is gone
	for _, pid := range []int{1, 2, 3} {
		if _, err := cgroup.Open(root, pid, id); rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Errorf("process %d: %v", pid, err)
		}
	}
}

func TestAMountWithSpacesIsFound(t *testing.T) {
	root := t.TempDir()
	write(t, root, "proc/self/mountinfo", "30 23 0:26 / /sys/my\\040groups rw - cgroup2 cgroup2 rw\n")
	write(t, root, "proc/1/cgroup", "0::/docker/"+id+"\n")
	write(t, root, "sys/my groups/docker/"+id+"/pids.current", "3\n")
	g, err := cgroup.Open(root, 1, id)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if u, err := g.Read(); err != nil || u.Processes != 3 || !math.IsNaN(u.CPU) {
		t.Errorf("%+v, %v", u, err)
	}
}

// same compares usages; NaN is the same as NaN.
func same(a, b cgroup.Usage) bool {
	list := func(u cgroup.Usage) []float64 {
		return append(u.Pressure[:], u.CPU, u.Throttled, u.CPULimit, u.Memory, u.MemoryLimit, u.OOMKills, u.Read, u.Written,
			u.Processes)
	}
	as, bs := list(a), list(b)
	for i := range as {
		if math.IsNaN(as[i]) != math.IsNaN(bs[i]) || math.Abs(as[i]-bs[i]) > 1e-9 {
			return false
		}
	}
	return true
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
