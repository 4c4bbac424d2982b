package measure

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
)

// burnEnv makes the test binary a process that does what its standard input says.
const burnEnv = "RHUMB_TEST_BURN"

func TestMain(m *testing.M) {
	if os.Getenv(burnEnv) != "" {
		burn()
		return
	}
	os.Exit(m.Run())
}

// kept is what burn has allocated.
var kept [][]byte

// burn does what each line says, and answers with a line.
func burn() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, arg, _ := strings.Cut(in.Text(), " ")
		n, _ := strconv.Atoi(arg)
		switch verb {
		case "cpu": // milliseconds
			for begun := cpuTime(); cpuTime()-begun < time.Duration(n)*time.Millisecond; {
			}
		case "memory": // megabytes
			b, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err != nil {
				panic(err)
			}
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			kept = append(kept, b)
		case "write": // megabytes, past the cache
			writeDirect(arg)
		}
		fmt.Println(int64(cpuTime()))
	}
}

func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writeDirect writes 32 MB to a file.
func writeDirect(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|unix.O_DIRECT, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	page, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for range 32 {
		if _, err := f.Write(page); err != nil {
			panic(err)
		}
	}
}

// burner is a process in a control group of its own, named as a container's would be.
type burner struct {
	t       testing.TB
	id      string
	folders map[string]string // the group's, by hierarchy: "memory"; "": version 2
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

// newBurner starts a process in a control group with limits: files and what to write to them.
func newBurner(t testing.TB, limits map[string]string) *burner {
	t.Helper()
	var id [32]byte
	_, _ = rand.Read(id[:]) // it never fails
	b := &burner{t: t, id: hex.EncodeToString(id[:]), folders: map[string]string{}}
	const mounted = "/sys/fs/cgroup"
	if _, err := os.Stat(mounted + "/cgroup.controllers"); err == nil {
		b.make("", mounted)
	} else {
		for _, h := range []string{"cpu", "cpuacct", "memory", "blkio", "pids", "unified"} {
			if path, err := filepath.EvalSymlinks(filepath.Join(mounted, h)); err == nil {
				b.make(h, path)
			}
		}
	}
	for name, text := range limits {
		for _, folder := range b.folders {
			path := filepath.Join(folder, name)
			if _, err := os.Stat(path); err == nil {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	b.start()
	return b
}

// make makes the group in one hierarchy. It is removed at the test's end.
func (b *burner) make(hierarchy, mounted string) {
	b.t.Helper()
	folder := filepath.Join(mounted, "rhumb-test", b.id)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		if os.Getenv("CI") == "true" {
			b.t.Fatal(err)
		}
		b.t.Skipf("control groups can't be made here: %v", err)
	}
	b.folders[hierarchy] = folder
	b.t.Cleanup(b.remove)
}

// remove removes the group, once its processes have ended.
func (b *burner) remove() {
	for _, folder := range b.folders {
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if err := os.Remove(folder); err == nil || os.IsNotExist(err) {
				break
			}
		}
		_ = os.Remove(filepath.Dir(folder)) // the last one removes it
	}
}

func (b *burner) start() {
	b.t.Helper()
	b.cmd = exec.Command(os.Args[0])
	b.cmd.Env = append(os.Environ(), burnEnv+"=1", "GOMAXPROCS=1", "GOGC=off")
	b.cmd.Stderr = os.Stderr
	var err error
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		b.t.Fatal(err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	b.out = bufio.NewScanner(out)
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.stop)
	for _, folder := range b.folders {
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(b.cmd.Process.Pid)),
			0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// stop ends the process.
func (b *burner) stop() {
	_ = b.cmd.Process.Kill() // it may have ended
	_ = b.cmd.Wait()
}

// do has the process do something, and returns the CPU time that it has used.
func (b *burner) do(what string) time.Duration {
	b.t.Helper()
	if _, err := io.WriteString(b.in, what+"\n"); err != nil {
		b.t.Fatal(err)
	}
	if !b.out.Scan() {
		b.t.Fatalf("%s: the process has ended: %v", what, b.out.Err())
	}
	ns, err := strconv.ParseInt(b.out.Text(), 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return time.Duration(ns)
}

// listed returns burners as the engine would list them as replicas.
func listed(bs ...*burner) listing {
	l := listing{asked: true, up: true}
	for i, b := range bs {
		rep := rhumb.Replica{ID: b.id, Stack: "shop", Service: "web", Release: 1, Slot: i + 1, State: rhumb.StateRunning,
			Started: noon}
		l.replicas = append(l.replicas, placed{Replica: rep, labels: labelsOf(&rep),
			process: rhumb.ReplicaProcess{PID: b.cmd.Process.Pid, Network: true}})
	}
	return l
}

// realWorld measures burners.
func realWorld(t *testing.T, bs ...*burner) *world {
	w := &world{t: t, sink: newRecord(t), at: noon, ro: newRoster(nil, quiet())}
	w.ro.set(listed(bs...))
	w.cs = newContainers("/", w.ro, newBoard(w.sink, quiet()), quiet())
	t.Cleanup(w.cs.close)
	return w
}

// look measures, and returns what a replica has used.
func (w *world) look(replica string) map[string]float64 {
	w.at = w.at.Add(time.Second)
	w.cs.sample(w.t.Context(), w.at)
	return w.of(replica)
}

// near reports whether a value is within a share of what it must be.
func near(got, want, share float64) bool { return math.Abs(got-want) <= want*share }

func TestWhatAProcessUsesIsMeasured(t *testing.T) {
	b := newBurner(t, map[string]string{"memory.limit_in_bytes": "512M", "memory.max": "512M"})
	w := realWorld(t, b)
	b.do("nothing")
	before := w.look("shop-web.1.1")
	if before["memory_limit_bytes"] != 512<<20 || before["up"] != 1 {
		t.Errorf("at first: %v", before)
	}
	cpu := b.do("cpu 0")
	before = w.look("shop-web.1.1")
	burnt := b.do("cpu 1000") - cpu
	after := w.look("shop-web.1.1")
	if got := after["cpu_seconds_total"] - before["cpu_seconds_total"]; !near(got, burnt.Seconds(), 0.05) {
		t.Errorf("CPU: %v s, want %v", got, burnt)
	}
	b.do("memory 128")
	grown := w.look("shop-web.1.1")
	if got := grown["memory_bytes"] - after["memory_bytes"]; !near(got, 128<<20, 0.05) {
		t.Errorf("memory: %v bytes, want %d", got, 128<<20)
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if grown["processes"] != float64(len(tasks)) {
		t.Errorf("%v processes and threads, want %d", grown["processes"], len(tasks))
	}
	writes(t, w, b)
	b.stop()
	b.remove()
	w.are("shop-web.1.1", "after its end", w.look("shop-web.1.1"))
	if gone := w.of("shop-web.1.1"); gone["up"] != 0 || len(gone) != 2 {
		t.Errorf("after its end: %v", gone)
	}
}

// writes checks the bytes that a process writes to a disk, if it writes to one.
func writes(t *testing.T, w *world, b *burner) {
	t.Helper()
	dir, err := os.MkdirTemp(".", "written-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var s unix.Stat_t
	if err := unix.Stat(dir, &s); err != nil {
		t.Fatal(err)
	}
	device := fmt.Sprintf("%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev))
	if _, err := os.Stat("/sys/dev/block/" + device); err != nil {
		t.Logf("bytes on disks not checked: %s is on no disk", dir)
		return
	}
	if folder := b.folders["blkio"]; folder != "" { // version 1 counts only for disks with a limit
		limit := filepath.Join(folder, "blkio.throttle.write_bps_device")
		if err := os.WriteFile(limit, []byte(device+" 100000000000"), 0o600); err != nil {
			t.Logf("bytes on disks not checked: %v", err)
			return
		}
		defer func() { _ = os.WriteFile(limit, []byte(device+" 0"), 0o600) }()
	}
	before := w.look("shop-web.1.1")["disk_written_bytes_total"] // absent: none yet
	b.do("write " + filepath.Join(dir, "file"))
	got := w.look("shop-web.1.1")["disk_written_bytes_total"] - before
	if !near(got, 32<<20, 0.1) {
		t.Errorf("written: %v bytes, want %d", got, 32<<20)
	}
}

func TestALimitOfCPUThrottles(t *testing.T) {
	b := newBurner(t, map[string]string{"cpu.cfs_quota_us": "20000", "cpu.max": "20000 100000"})
	w := realWorld(t, b)
	begun := time.Now()
	b.do("cpu 400")
	u := w.look("shop-web.1.1")
	if took := time.Since(begun); took < time.Second {
		t.Errorf("it took only %v", took)
	}
	if u["cpu_limit"] != 0.2 || u["cpu_throttled_seconds_total"] < 0.5 {
		t.Errorf("limit %v, throttled for %v s", u["cpu_limit"], u["cpu_throttled_seconds_total"])
	}
}

func TestAKillForMemoryIsMeasured(t *testing.T) {
	b := newBurner(t, map[string]string{"memory.limit_in_bytes": "64M", "memory.max": "64M", "memory.swap.max": "0"})
	w := realWorld(t, b)
	b.do("nothing")
	if got := w.look("shop-web.1.1")["oom_kills_total"]; got != 0 {
		t.Errorf("%v kills at first", got)
	}
	if _, err := io.WriteString(b.in, "memory 200\n"); err != nil {
		t.Fatal(err)
	}
	err := b.cmd.Wait()
	state, ok := b.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || state.Signal() != unix.SIGKILL {
		t.Fatalf("it ended otherwise: %v", err)
	}
	if got := w.look("shop-web.1.1")["oom_kills_total"]; got != 1 {
		t.Errorf("%v kills, want 1", got)
	}
}

// BenchmarkReplicas measures 50 processes in control groups of their own, as often as it can. A turn is due every five
// seconds.
func BenchmarkReplicas(b *testing.B) {
	var bs []*burner
	for range 50 {
		bs = append(bs, newBurner(b, nil))
	}
	ro := newRoster(nil, quiet())
	ro.set(listed(bs...))
	cs := newContainers("/", ro, newBoard(nothing{}, quiet()), quiet())
	defer cs.close()
	at, cpu := noon, cpuTime()
	for b.Loop() {
		at = at.Add(rhumb.MeasureEvery)
		cs.sample(b.Context(), at)
	}
	per := (cpuTime() - cpu).Seconds() / float64(b.N)
	b.ReportMetric(per*1e6, "µs-CPU/op")
	b.ReportMetric(per/rhumb.MeasureEvery.Seconds()*100, "%core")
}
