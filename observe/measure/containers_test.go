package measure

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// world is an engine in memory, and the files of its replicas' processes.
type world struct {
	*enginefake.Engine
	t    *testing.T
	root string
	sink *record
	cs   *containers
	ro   *roster
	at   time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{Engine: enginefake.New(time.Now), t: t, root: t.TempDir(), sink: newRecord(t), at: noon}
	tree(t, w.root, map[string]string{"proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"})
	w.ro = newRoster(w.Engine, quiet())
	w.cs = newContainers(w.root, w.ro, newBoard(w.sink, quiet()), quiet())
	t.Cleanup(w.cs.close)
	return w
}

// start starts a replica, and makes the files of its process.
func (w *world) start(s rhumb.ReplicaSpec) rhumb.Replica {
	w.t.Helper()
	s.Stack, s.Spec = "shop", s.Container.Hash()
	r, err := w.Start(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.Process(w.t.Context(), r.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	w.use(r.ID, p.PID, map[string]string{})
	return r
}

// use writes what the process of a replica has used.
func (w *world) use(id string, pid int, changed map[string]string) {
	w.t.Helper()
	proc, group := fmt.Sprintf("proc/%d/", pid), "sys/fs/cgroup/docker/"+id+"/"
	files := map[string]string{
		proc + "cgroup": "0::/docker/" + id + "\n",
		proc + "net/dev": "title\nlo: 5 0 0 0 0 0 0 0 5 0\n eth0: 10 1 0 0 0 0 0 0 20 1 0\n" +
			" eth1: 1 1 0 0 0 0 0 0 2 1 0\n",
		group + "cpu.stat":       "usage_usec 2000000\nthrottled_usec 500000\n",
		group + "cpu.max":        "150000 100000\n",
		group + "memory.current": "1000\n",
		group + "memory.max":     "4000\n",
		group + "memory.stat":    "inactive_file 100\n",
		group + "memory.events":  "oom_kill 0\n",
		group + "io.stat":        "8:0 rbytes=7 wbytes=8\n",
		group + "pids.current":   "3\n",
		group + "io.pressure":    "some avg10=0.00 total=1000000\nfull avg10=0.00 total=1\n",
	}
	maps.Copy(files, changed)
	tree(w.t, w.root, files)
}

// measure lists the replicas and measures them.
func (w *world) measure() {
	w.ro.list(w.t.Context())
	w.at = w.at.Add(5 * time.Second)
	w.cs.sample(w.t.Context(), w.at)
}

// of returns the series of a replica by its name: the short name and further labels.
func (w *world) of(replica string) map[string]float64 {
	found := map[string]float64{}
	for key, v := range w.sink.now("rhumb_replica_") {
		if !strings.Contains(key, `replica="`+replica+`"`) {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(key, "rhumb_replica_"), "{")
		if _, after, ok := strings.Cut(key, `resource="`); ok {
			name += " " + after[:strings.IndexByte(after, '"')]
		}
		found[name] = v
	}
	return found
}

// are checks the series of a replica.
func (w *world) are(replica, when string, want map[string]float64) {
	w.t.Helper()
	if got := w.of(replica); !maps.Equal(got, want) {
		w.t.Errorf("%s, %s:\ngot  %v\nwant %v", replica, when, got, want)
	}
}

// used is what a replica has used at first.
func used(r rhumb.Replica) map[string]float64 {
	return map[string]float64{
		"cpu_seconds_total": 2, "cpu_throttled_seconds_total": 0.5, "cpu_limit": 1.5, "memory_bytes": 900,
		"memory_limit_bytes": 4000, "oom_kills_total": 0, "network_received_bytes_total": 11, "network_sent_bytes_total": 22,
		"disk_read_bytes_total": 7, "disk_written_bytes_total": 8, "processes": 3, "pressure_seconds_total io": 1,
		"started_seconds": unixSeconds(r.Started), "up": 1,
	}
}

func TestReplicasAreMeasured(t *testing.T) {
	w := newWorld(t)
	web := w.start(rhumb.ReplicaSpec{Service: "web", Release: 2, Slot: 1})
	check := &rhumb.Healthcheck{Test: []string{"CMD", "true"}}
	host := w.start(rhumb.ReplicaSpec{Service: "host", Release: 2, Slot: 1,
		Container: rhumb.Container{NetworkMode: "host", Health: check}})
	w.measure()
	w.are("shop-web.2.1", "at first", used(web))
	want := used(host)
	want["unhealthy"] = 0
	delete(want, "network_received_bytes_total")
	delete(want, "network_sent_bytes_total")
	w.are("shop-host.2.1", "at first", want)
	if got := w.sink.now("rhumb_engine_up"); got["rhumb_engine_up{}"] != 1 {
		t.Errorf("%v", got)
	}
	p, err := w.Process(t.Context(), web.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.use(web.ID, p.PID, map[string]string{"sys/fs/cgroup/docker/" + web.ID + "/cpu.stat": "usage_usec 3000000\n"})
	w.measure()
	want = used(web)
	want["cpu_seconds_total"] = 3
	delete(want, "cpu_throttled_seconds_total")
	w.are("shop-web.2.1", "after a while", want)
}

func TestADeadReplicaIsDownUntilItIsRemoved(t *testing.T) {
	w := newWorld(t)
	web := w.start(rhumb.ReplicaSpec{Service: "web", Release: 2, Slot: 1})
	w.measure()
	w.Kill(web.ID, 1)
	w.measure()
	w.are("shop-web.2.1", "dead", map[string]float64{"started_seconds": unixSeconds(web.Started), "up": 0})
	if len(w.cs.open) != 0 {
		t.Errorf("open: %v", w.cs.open)
	}
	if err := w.Remove(t.Context(), web.ID); err != nil {
		t.Fatal(err)
	}
	w.measure()
	w.are("shop-web.2.1", "removed", map[string]float64{})
}

func TestAKillForMemoryIsCountedAfterTheReplicaIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i, want := range []float64{0, 1, 2} {
			s := rhumb.ReplicaSpec{Service: "web", Release: 2, Slot: 1, Restarts: i}
			r := w.start(s)
			w.measure()
			if got := w.of("shop-web.2.1")["oom_kills_total"]; got != want {
				t.Errorf("replica %d: %v kills, want %v", i, got, want)
			}
			w.KillOOM(r.ID)
			w.ro.list(t.Context()) // as the engine's event asks for
			if i == 1 {
				w.measure()
				if got := w.of("shop-web.2.1")["oom_kills_total"]; got != want+1 {
					t.Errorf("replica %d, dead: %v kills, want %v", i, got, want+1)
				}
			}
			if err := w.Remove(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.measure()
		w.are("shop-web.2.1", "removed", map[string]float64{})
		time.Sleep(forgetKills + time.Second)
		w.measure()
		if len(w.ro.kills) != 0 || len(w.ro.counted) != 0 {
			t.Errorf("remembered: %v, %v", w.ro.kills, w.ro.counted)
		}
	})
}

func TestReplicasAreMeasuredWhileTheEngineIsAway(t *testing.T) {
	w := newWorld(t)
	web := w.start(rhumb.ReplicaSpec{Service: "web", Release: 2, Slot: 1})
	w.cs.sample(t.Context(), w.at) // the engine wasn't asked yet
	if got := w.sink.now(""); len(got) != 0 {
		t.Errorf("before the first list: %v", got)
	}
	w.measure()
	w.Away(true)
	for range 3 {
		w.measure()
	}
	w.are("shop-web.2.1", "away", used(web))
	if got := w.sink.now("rhumb_engine_up"); got["rhumb_engine_up{}"] != 0 {
		t.Errorf("away: %v", got)
	}
	w.Away(false)
	w.measure()
	if got := w.sink.now("rhumb_engine_up"); got["rhumb_engine_up{}"] != 1 {
		t.Errorf("back: %v", got)
	}
}

func TestAReplicaWithoutAProcessHarmsNoOther(t *testing.T) {
	w := newWorld(t)
	bad := w.start(rhumb.ReplicaSpec{Service: "bad", Release: 2, Slot: 1})
	web := w.start(rhumb.ReplicaSpec{Service: "web", Release: 2, Slot: 1})
	w.Fail("Process", 1, rhumb.Errorf(rhumb.Internal, "no idea"))
	w.measure()
	w.are("shop-bad.2.1", "not found", map[string]float64{"started_seconds": unixSeconds(bad.Started), "up": 1})
	w.are("shop-web.2.1", "beside it", used(web))
	w.measure()
	w.are("shop-bad.2.1", "found", used(bad))
	if err := os.RemoveAll(filepath.Join(w.root, "sys")); err != nil {
		t.Fatal(err)
	}
	late := w.start(rhumb.ReplicaSpec{Service: "late", Release: 2, Slot: 1})
	if err := os.RemoveAll(filepath.Join(w.root, "sys")); err != nil {
		t.Fatal(err)
	}
	for range maxTries + 1 {
		w.measure()
	}
	w.are("shop-late.2.1", "without a group", map[string]float64{"started_seconds": unixSeconds(late.Started), "up": 1})
	if tries := w.cs.open[late.ID].tries; tries != maxTries {
		t.Errorf("%d tries", tries)
	}
}

func TestAOneOffHasItsName(t *testing.T) {
	w := newWorld(t)
	spec := rhumb.ReplicaSpec{Stack: "shop", Service: "web", Release: 2, OneOff: "abc"}
	rep := rhumb.Replica{Stack: "shop", Service: "web", Release: 2, OneOff: "abc"}
	if nameOf(&rep) != spec.Name() {
		t.Errorf("%s, want %s", nameOf(&rep), spec.Name())
	}
	w.measure()
}

func TestAMeasurerMeasuresUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tree(t, w.root, machineFiles)
		web := w.start(rhumb.ReplicaSpec{Service: "web", Release: 2, Slot: 1})
		d := newDaemon()
		d.stacks = []rhumb.StackInfo{{Name: "shop", Release: 2}}
		m := New(Deps{Engine: w.Engine, Router: &router{status: rhumb.RouterStatus{PID: 1, Goroutines: 3}}, Daemon: d,
			Sink: w.sink, Folders: []string{"/"}, Root: w.root, ServerPID: os.Getpid})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		time.Sleep(16 * time.Second)
		synctest.Wait()
		w.are("shop-web.2.1", "after three turns", used(web))
		for _, name := range []string{
			"rhumb_node_cpus{}", "rhumb_engine_up{}", `rhumb_process_up{process="server"}`, `rhumb_process_up{process="proxy"}`,
			`rhumb_process_up{process="observe"}`, `rhumb_stack_release{stack="shop"}`, `rhumb_node_disk_bytes{path="/"}`,
			`rhumb_process_goroutines{process="server"}`,
		} {
			if w.sink.now(name)[name] <= 0 {
				t.Errorf("%s: %v", name, w.sink.now(name))
			}
		}
		w.sink.mu.Lock()
		for key, at := range w.sink.times {
			if at.UnixNano()%int64(rhumb.MeasureEvery) != 0 {
				t.Errorf("%s at %v", key, at)
			}
		}
		if w.sink.adds != 4*3 { // by four parts at each of three turns
			t.Errorf("%d calls of Add in 16 s", w.sink.adds)
		}
		w.sink.mu.Unlock()
		w.Kill(web.ID, 1)
		time.Sleep(5 * time.Second)
		w.are("shop-web.2.1", "dead", map[string]float64{"started_seconds": unixSeconds(web.Started), "up": 0})
		if info, at := m.Standings().Stack("shop"); info.Release != 2 || at.IsZero() {
			t.Errorf("%+v at %v", info, at)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(m.containers.open) != 0 {
			t.Error("files are left open")
		}
	})
}
