package why_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

const tick = 15 * time.Second

var (
	began = time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	since = began.Add(time.Hour)
	until = since.Add(time.Hour)
)

// app is a service of the simulated stack, and what it does in the present tick.
type app struct {
	stack, name string
	routed      bool
	release     int
	older       float64 // the share of the requests that the release before still serves
	replicas    int

	rate     float64 // requests a second
	errors   float64 // the share of those that fail
	oldGood  bool    // the release before has no errors and no slowness of this tick
	latency  float64 // the median, in seconds
	cpu      float64 // of one replica
	throttle float64
	memory   float64 // bytes of one replica
	limit    float64
	sick     bool
	hasCheck bool
	lacks    int // replicas that aren't ready
	unserved float64
	cut      float64
	restarts float64
	kills    float64
	disk     float64
	warnings float64 // error lines a second
}

// node is the machine.
type node struct {
	other, steal  float64 // CPUs
	memory        float64 // used by others, of all
	stall, ioWait float64
	kills         float64
	left          map[string]float64
	inodes        float64
	busy          float64
	engine        float64
	proxyStart    time.Time
	boot          time.Time
	expires       time.Time
}

// knob alters the world in each tick.
type knob func(w *world, at time.Time)

// world simulates a server with a stack shop: web and api have routes, db and worker haven't.
type world struct {
	*table
	r        *rand.Rand
	at       time.Time // of the fault
	apps     []*app
	node     node
	knobs    []knob
	counters map[string]float64
	lines    []rhumb.LogLine
	failing  int64   // the deployment in which replicas fail
	surge    float64 // noise of the traffic
	day      float64
	steep    float64 // of the daily cycle
	nextID   int64
}

func newWorld(seed uint64) *world {
	w := &world{table: newTable(), r: rand.New(rand.NewPCG(seed, 11)), counters: map[string]float64{}, nextID: 700}
	w.at = since.Add(12*time.Minute + time.Duration(w.r.IntN(25*60))*time.Second).Truncate(time.Second)
	w.day, w.steep = 2*math.Pi*w.r.Float64(), 0.3
	w.apps = []*app{
		{stack: "shop", name: "web", routed: true, release: 41, replicas: 2, hasCheck: true},
		{stack: "shop", name: "api", routed: true, release: 41, replicas: 2},
		{stack: "shop", name: "db", release: 40, replicas: 1, hasCheck: true},
		{stack: "shop", name: "worker", release: 41, replicas: 1},
		{stack: "blog", name: "site", routed: true, release: 7, replicas: 1},
	}
	w.node = node{engine: 1, proxyStart: began.Add(-72 * time.Hour), boot: began.Add(-90 * time.Hour),
		expires: began.Add(40 * 24 * time.Hour), inodes: 0.7}
	return w
}

func (w *world) app(name string) *app {
	for _, a := range w.apps {
		if a.name == name {
			return a
		}
	}
	panic("no app " + name)
}

// usual sets what the services do when nothing is wrong.
func (w *world) usual(at time.Time) {
	w.surge = 0.9*w.surge + 0.05*w.r.NormFloat64()
	day := 1 + w.steep*math.Sin(w.day+2*math.Pi*at.Sub(began).Hours()/24)
	for _, a := range w.apps {
		a.errors, a.throttle, a.sick, a.lacks, a.unserved, a.cut = 0.001, 0, false, 0, 0, 0
		a.restarts, a.kills, a.older, a.oldGood, a.warnings = 0, 0, 0, false, 0.004
		a.limit = 512e6
		load := day * (1 + w.surge) * (1 + 0.1*w.r.NormFloat64())
		switch a.name {
		case "web":
			a.rate, a.latency, a.cpu, a.memory, a.disk = 20*load, 0.04, 0.2*load, 210e6, 2e4
		case "api":
			a.rate, a.latency, a.cpu, a.memory, a.disk = 12*load, 0.025, 0.15*load, 180e6, 1e4
		case "db":
			a.rate, a.latency, a.cpu, a.memory, a.disk = 0, 0, 0.3*load, 700e6, 2e6*load
			a.limit = 2e9
		case "worker":
			a.rate, a.latency, a.cpu, a.memory, a.disk = 0, 0, 0.1+0.05*w.r.Float64(), 120e6, 1e5
		case "site":
			a.rate, a.latency, a.cpu, a.memory, a.disk = 3*load, 0.03, 0.1*load, 90e6, 1e4
		}
		a.latency *= 1 + 0.08*math.Abs(w.r.NormFloat64())
	}
	n := &w.node
	n.other, n.steal, n.memory, n.stall, n.ioWait, n.kills, n.engine = 0.2+0.1*w.r.Float64(), 0.01*w.r.Float64(), 0.2,
		0.001, 0.01, 0, 1
	n.left = map[string]float64{"/": 0.45, "/var/lib/docker": 0.4}
	n.busy = 0.08 + 0.04*w.r.Float64()
}

// run simulates the two hours.
func (w *world) run() {
	for at := began; !at.After(until); at = at.Add(tick) {
		w.usual(at)
		for _, k := range w.knobs {
			k(w, at)
		}
		missed := w.r.Float64() < 0.01 // a look at the machine that took too long
		for _, a := range w.apps {
			w.chatter(at, a)
			if !missed {
				w.measure(at, a)
			}
		}
		if !missed {
			w.measureNode(at)
		}
	}
}

// count adds to a counter and samples it.
func (w *world) count(at time.Time, more float64, name string, pairs ...string) {
	id := name + "\x00" + strings.Join(pairs, "\x00")
	if _, ok := w.counters[id]; !ok {
		w.counters[id] = float64(w.r.IntN(10_000))
	}
	w.counters[id] += more
	w.add(at, w.counters[id], name, pairs...)
}

// poisson draws a number of events.
func (w *world) poisson(mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean > 30 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*w.r.NormFloat64()))
	}
	n, p := 0.0, math.Exp(-mean)
	for u := w.r.Float64(); u > p; n++ {
		u *= w.r.Float64()
	}
	return n
}

var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// measure samples a service.
func (w *world) measure(at time.Time, a *app) {
	of := []string{"stack", a.stack, "service", a.name}
	if a.routed {
		for _, part := range []struct {
			release int
			share   float64
			good    bool
		}{{a.release, 1 - a.older, false}, {a.release - 1, a.older, a.oldGood}} {
			if part.share > 0 {
				w.serve(at, a, part.release, part.share, part.good)
			}
		}
		w.count(at, a.unserved, "rhumb_unserved_total", append(of, "backend", a.stack+"/"+a.name+":80")...)
		w.count(at, a.cut, "rhumb_cut_total", append(of, "backend", a.stack+"/"+a.name+":80")...)
	}
	for i := 1; i <= a.replicas; i++ {
		rep := append(of[:4:4], "release", strconv.Itoa(a.release), "replica",
			fmt.Sprintf("%s-%s.%d.%d", a.stack, a.name, a.release, i))
		w.count(at, a.cpu*tick.Seconds(), "rhumb_replica_cpu_seconds_total", rep...)
		w.count(at, a.throttle*tick.Seconds(), "rhumb_replica_cpu_throttled_seconds_total", rep...)
		w.add(at, a.memory*(1+0.01*w.r.NormFloat64()), "rhumb_replica_memory_bytes", rep...)
		w.add(at, a.limit, "rhumb_replica_memory_limit_bytes", rep...)
		w.count(at, a.disk*tick.Seconds()/2, "rhumb_replica_disk_read_bytes_total", rep...)
		w.count(at, a.disk*tick.Seconds()/2, "rhumb_replica_disk_written_bytes_total", rep...)
		w.count(at, a.kills, "rhumb_replica_oom_kills_total", rep...)
		if a.hasCheck {
			sick := 0.0
			if a.sick {
				sick = 1
			}
			w.add(at, sick, "rhumb_replica_unhealthy", rep...)
		}
	}
	w.add(at, float64(a.replicas), "rhumb_service_replicas", of...)
	w.add(at, float64(a.replicas-a.lacks), "rhumb_service_replicas_ready", of...)
	w.count(at, a.restarts, "rhumb_service_restarts_total", of...)
	w.count(at, w.poisson(a.warnings*tick.Seconds()), "rhumb_log_lines_total", append(of, "level", "error")...)
	w.count(at, w.poisson(20), "rhumb_log_lines_total", append(of, "level", "info")...)
}

// serve samples the requests that one release of a service has served.
func (w *world) serve(at time.Time, a *app, release int, share float64, good bool) {
	of := []string{"stack", a.stack, "service", a.name, "backend", a.stack + "/" + a.name + ":80", "release",
		strconv.Itoa(release)}
	errors, median := a.errors, a.latency
	if good {
		errors, median = 0.001, 0.04
	}
	n := w.poisson(a.rate * share * tick.Seconds())
	w.count(at, n, "rhumb_requests_total", of...)
	w.count(at, math.Min(n, w.poisson(n*errors)), "rhumb_request_errors_total", of...)
	last := 0.0
	for _, b := range bounds {
		p := 0.5 * math.Erfc(-math.Log(b/median)/(0.6*math.Sqrt2))
		last += w.poisson(n * (p - last/math.Max(n, 1)))
		last = math.Min(last, n)
		w.count(at, last, "rhumb_request_duration_seconds_bucket", append(of, "le", strconv.FormatFloat(b, 'g', -1, 64))...)
	}
	w.count(at, n, "rhumb_request_duration_seconds_bucket", append(of, "le", "+Inf")...)
}

// measureNode samples the machine and rhumb itself.
func (w *world) measureNode(at time.Time) {
	n := &w.node
	const cpus = 4.0
	var stacks, memory float64
	for _, a := range w.apps {
		stacks += a.cpu * float64(a.replicas)
		memory += a.memory * float64(a.replicas)
	}
	used := math.Min(cpus-n.steal, stacks+n.other)
	w.add(at, cpus, "rhumb_node_cpus")
	w.count(at, used*0.7*tick.Seconds(), "rhumb_node_cpu_seconds_total", "mode", "user")
	w.count(at, used*0.3*tick.Seconds(), "rhumb_node_cpu_seconds_total", "mode", "system")
	w.count(at, n.steal*tick.Seconds(), "rhumb_node_cpu_seconds_total", "mode", "steal")
	w.count(at, (cpus-used-n.steal)*tick.Seconds(), "rhumb_node_cpu_seconds_total", "mode", "idle")
	const total = 8e9
	w.add(at, total, "rhumb_node_memory_bytes")
	w.add(at, math.Max(0.005*total, total-memory-n.memory*total), "rhumb_node_memory_available_bytes")
	w.add(at, 2e9, "rhumb_node_swap_bytes")
	w.add(at, 1.8e9, "rhumb_node_swap_free_bytes")
	w.count(at, n.kills, "rhumb_node_oom_kills_total")
	for _, p := range []struct {
		resource string
		v        float64
	}{{"memory", n.stall}, {"io", n.ioWait}, {"cpu", 0.02}} {
		w.count(at, p.v*tick.Seconds(), "rhumb_node_pressure_seconds_total", "resource", p.resource, "kind", "some")
	}
	for path, left := range n.left {
		w.add(at, 100e9, "rhumb_node_disk_bytes", "path", path)
		w.add(at, 100e9*left, "rhumb_node_disk_available_bytes", "path", path)
		w.add(at, 6e6, "rhumb_node_disk_inodes", "path", path)
		w.add(at, 6e6*n.inodes, "rhumb_node_disk_inodes_free", "path", path)
	}
	w.count(at, n.busy*tick.Seconds(), "rhumb_node_disk_busy_seconds_total", "device", "vda")
	w.add(at, n.engine, "rhumb_engine_up")
	for _, p := range []string{"server", "proxy", "observe"} {
		start := began.Add(-50 * time.Hour)
		if p == "proxy" {
			start = n.proxyStart
		}
		w.add(at, float64(start.UnixMilli())/1000, "rhumb_process_started_seconds", "process", p)
		w.add(at, 1, "rhumb_process_up", "process", p)
	}
	w.add(at, float64(n.boot.Unix()), "rhumb_node_boot_seconds")
	w.add(at, float64(n.expires.Unix()), "rhumb_certificate_expires_seconds", "host", "shop.example.com")
}
