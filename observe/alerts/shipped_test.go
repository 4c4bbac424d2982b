package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
)

// trial is a cause of a shipped rule's alert, or a near miss.
type trial struct {
	name  string
	alert string // "": none
	also  string // another rule that fires too
	lasts time.Duration
	step  time.Duration // 0: 15 s
	// happens is called at each step instead of the usual traffic, after which traffic is usual again.
	happens func(s *sim, step int)
	over    func(s *sim) // ends it
}

// becomes returns what sets a series once, and what sets it back.
func becomes(series string, v, well float64) (happens func(*sim, int), over func(*sim)) {
	return func(s *sim, _ int) { s.set(series, v); s.serve(150, 0.2, 1) }, func(s *sim) { s.set(series, well) }
}

// gauges are trials of series that have a value for a while.
var gauges = []struct {
	name, alert, also, series string
	value, well               float64
	lasts, step               time.Duration
}{
	{"a failing check", "Unhealthy", "", "rhumb_replica_unhealthy{web}", 1, 0, 5 * time.Minute, 0},
	{"a check that fails twice", "", "", "rhumb_replica_unhealthy{web}", 1, 0, 90 * time.Second, 0},
	{"a replica missing", "ReplicasMissing", "", "rhumb_service_replicas_ready" + onWeb, 1, 2, 5 * time.Minute, 0},
	{"a replica restarted", "", "", "rhumb_service_replicas_ready" + onWeb, 1, 2, 2 * time.Minute, 0},
	{"all replicas missing", "ServiceDown", "", "rhumb_service_replicas_ready" + onWeb, 0, 2, 3 * time.Minute, 0},
	{"all replicas missing for a moment", "", "", "rhumb_service_replicas_ready" + onWeb, 0, 2, 45 * time.Second, 0},
	{"no replica wanted", "", "", "rhumb_service_replicas" + onWeb, 0, 2, 10 * time.Minute, 0},
	{"memory near its limit", "MemoryNearLimit", "", "rhumb_replica_memory_bytes{web}", 95, 50, 10 * time.Minute, 0},
	{"memory not so near", "", "", "rhumb_replica_memory_bytes{web}", 89, 50, 20 * time.Minute, 0},
	{"memory near its limit for a moment", "", "", "rhumb_replica_memory_bytes{web}", 99, 50, 4 * time.Minute, 0},
	{"metrics that don't answer", "ScrapeFailed", "", "rhumb_scrape_up{web}", 0, 1, 10 * time.Minute, 0},
	{"metrics that don't answer at once", "", "", "rhumb_scrape_up{web}", 0, 1, 4 * time.Minute, 0},
	{"a failed deployment", "DeploymentFailed", "", "rhumb_stack_deployment_failed" + onShop, 1, 0, time.Minute, 0},
	{"a long deployment", "", "", "rhumb_stack_deployment_open" + onShop, 1, 0, 30 * time.Minute, 0},
	{"a full disk", "DiskFull", "", "rhumb_node_disk_available_bytes,path=/", 12, 50, 10 * time.Minute, 0},
	{"a disk with some room", "", "", "rhumb_node_disk_available_bytes,path=/", 16, 50, 20 * time.Minute, 0},
	{"no room", "DiskOutOfSpace", "DiskFull", "rhumb_node_disk_available_bytes,path=/", 3, 50, 10 * time.Minute, 0},
	{"many small files", "InodesFull", "", "rhumb_node_disk_inodes_free,path=/", 10, 50, 10 * time.Minute, 0},
	{"some small files", "", "", "rhumb_node_disk_inodes_free,path=/", 20, 50, 20 * time.Minute, 0},
	{"no inodes at all", "", "", "rhumb_node_disk_inodes,path=/", 0, 100, 20 * time.Minute, 0},
	{"a machine without memory", "HostMemory", "", "rhumb_node_memory_available_bytes", 5, 50, 15 * time.Minute, 0},
	{"a machine with little memory", "", "", "rhumb_node_memory_available_bytes", 10, 50, 30 * time.Minute, 0},
	{"an engine that is down", "EngineDown", "", "rhumb_engine_up", 0, 1, 3 * time.Minute, 0},
	{"an engine that restarts", "", "", "rhumb_engine_up", 0, 1, 45 * time.Second, 0},
	{"a daemon that is down", "ProcessDown", "", "rhumb_process_up,process=server", 0, 1, 5 * time.Minute, 0},
	{"a daemon that is upgraded", "", "", "rhumb_process_up,process=server", 0, 1, 90 * time.Second, 0},
	{"a clock alone", "ClockOff", "", "rhumb_node_clock_synchronised", 0, 1, 80 * time.Minute, time.Minute},
	{"a clock that is off", "ClockOff", "", "rhumb_node_clock_error_seconds", 1.5, 0.1, 80 * time.Minute, time.Minute},
	{"a clock alone for a while", "", "", "rhumb_node_clock_synchronised", 0, 1, 50 * time.Minute, time.Minute},
}

// counted are trials of what is counted.
var counted = []trial{
	{name: "a crash loop", alert: "CrashLoop", lasts: 10 * time.Minute, happens: func(s *sim, step int) {
		s.serve(150, 0.2, 1)
		if step%8 == 0 {
			s.add("rhumb_service_restarts_total"+onWeb, 1)
		}
	}},
	{name: "two crashes", lasts: 15 * time.Minute, happens: func(s *sim, step int) {
		s.serve(150, 0.2, 1)
		if step == 3 || step == 20 {
			s.add("rhumb_service_restarts_total"+onWeb, 1)
		}
	}},
	{name: "an OOM kill", alert: "OOMKill", lasts: 2 * time.Minute, happens: func(s *sim, step int) {
		s.serve(150, 0.2, 1)
		if step == 2 {
			s.add("rhumb_replica_oom_kills_total"+s.replica(1), 1)
		}
	}},
	{name: "a first fatal line", alert: "FatalLines", lasts: 2 * time.Minute, happens: func(s *sim, step int) {
		s.serve(150, 0.2, 1)
		if step == 2 {
			s.add("rhumb_log_lines_total"+onWeb+",level=fatal", 1)
		}
	}, over: func(*sim) {}},
	{name: "lines with errors", lasts: 10 * time.Minute, happens: func(s *sim, _ int) {
		s.serve(150, 0.2, 1)
		s.add("rhumb_log_lines_total"+onWeb+",level=error", 5)
	}},
	{name: "one request in ten fails", alert: "ErrorRatio", lasts: 5 * time.Minute,
		happens: func(s *sim, _ int) { s.serve(150, 15, 1) }},
	{name: "one request in thirty fails", lasts: 20 * time.Minute,
		happens: func(s *sim, _ int) { s.serve(150, 5, 1) }},
	{name: "all of a few requests fail", lasts: 20 * time.Minute, happens: func(s *sim, step int) {
		if step%8 == 0 {
			s.serve(1, 1, 0)
		} else {
			s.serve(0, 0, 0)
		}
	}},
	{name: "slow answers", alert: "HighLatency", lasts: 12 * time.Minute,
		happens: func(s *sim, _ int) { s.serve(150, 0, 20) }},
	{name: "some slow answers", lasts: 20 * time.Minute, happens: func(s *sim, _ int) { s.serve(150, 0, 5) }},
	{name: "few requests, all slow", lasts: 20 * time.Minute, happens: func(s *sim, step int) {
		if step%4 == 0 {
			s.serve(1, 0, 1)
		} else {
			s.serve(0, 0, 0)
		}
	}},
	{name: "a certificate that isn't renewed", alert: "CertificateExpires", lasts: 80 * time.Minute, step: time.Minute,
		happens: func(s *sim, step int) {
			s.serve(600, 1, 5)
			if step == 0 {
				s.set("rhumb_certificate_expires_seconds,host=shop.example.com", float64(s.now.Add(240*time.Hour).Unix()))
			}
		}, over: func(s *sim) {
			s.set("rhumb_certificate_expires_seconds,host=shop.example.com", float64(s.now.Add(2000*time.Hour).Unix()))
		}},
	{name: "a certificate for 20 days", lasts: 80 * time.Minute, step: time.Minute, happens: func(s *sim, _ int) {
		s.serve(600, 1, 5)
		s.set("rhumb_certificate_expires_seconds,host=shop.example.com", float64(s.now.Add(480*time.Hour).Unix()))
	}},
	{name: "a disk that fills", alert: "DiskFillsWithinADay", lasts: 330 * time.Minute, step: time.Minute,
		happens: func(s *sim, step int) {
			s.serve(600, 1, 5)
			s.set("rhumb_node_disk_available_bytes,path=/", 41-float64(step)/25)
		}, over: func(s *sim) { s.set("rhumb_node_disk_available_bytes,path=/", 60) }},
	{name: "a disk that fills slowly", lasts: 330 * time.Minute, step: time.Minute, happens: func(s *sim, step int) {
		s.serve(600, 1, 5)
		s.set("rhumb_node_disk_available_bytes,path=/", 41-float64(step)/150)
	}},
	{name: "an image on a big disk", lasts: 330 * time.Minute, step: time.Minute, happens: func(s *sim, step int) {
		s.serve(600, 1, 5)
		if step == 200 {
			s.set("rhumb_node_disk_available_bytes,path=/", 45)
		}
	}},
}

func TestShippedRulesFireOnTheirCauseAlone(t *testing.T) {
	var trials []trial
	for _, g := range gauges {
		tr := trial{name: g.name, alert: g.alert, also: g.also, lasts: g.lasts, step: g.step}
		series, isWeb := strings.CutSuffix(g.series, "{web}")
		if isWeb {
			series += (&sim{web: 42}).replica(1)
		}
		tr.happens, tr.over = becomes(series, g.value, g.well)
		trials = append(trials, tr)
	}
	trials = append(trials, counted...)
	tried := map[string]bool{}
	shared := newSim(t, evaluateEvery) // making a store takes longer than a short trial
	shared.goes(8*time.Minute, nil)
	for i, tr := range trials {
		tried[tr.alert] = true
		t.Run(tr.name, func(t *testing.T) {
			if testing.Short() && (tr.step == time.Minute || i%6 > 0) {
				t.Skip("it takes seconds, and -short tries each sixth that doesn't simulate hours")
			}
			s := shared
			if tr.step == time.Minute {
				s = newSim(t, tr.step)
				s.goes(12*time.Minute, nil)
			}
			s.world.t = t
			tr.run(t, s)
		})
	}
	for _, r := range alertrule.Shipped() {
		if !tried[r.Name] {
			t.Errorf("nothing tries %s", r.Name)
		}
	}
}

func (tr trial) run(t *testing.T, s *sim) {
	if got := s.heard(); got != "" {
		t.Fatalf("at first %s", got)
	}
	step := -1
	s.goes(tr.lasts, func() { step++; tr.happens(s, step) })
	want := []string{}
	for _, name := range []string{tr.alert, tr.also} {
		if name != "" {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	got := s.heard()
	if got != strings.Join(want, " ") {
		t.Errorf("the messages are about %q, want %q", got, want)
	}
	if tr.over != nil {
		tr.over(s)
	}
	recovery := 16 * time.Minute
	if tr.lasts > time.Hour {
		recovery = 90 * time.Minute
	}
	s.goes(recovery, nil)
	for i := range want {
		want[i] = "-" + want[i]
	}
	if got := s.heard(); got != strings.Join(want, " ") {
		t.Errorf("when it is over, the messages are about %q, want %q", got, want)
	}
}

func TestGoodDeploymentsSendNoMessage(t *testing.T) {
	s := newSim(t, evaluateEvery)
	s.goes(12*time.Minute, nil)
	deployments := 50
	if testing.Short() {
		deployments = 5
	}
	for i := range deployments {
		d := rhumb.Deployment{ID: int64(i), Stack: "shop", Phase: rhumb.PhaseRolling, Started: s.now, From: s.web,
			To: s.web + 1}
		s.deployment("shop", &d)
		s.set("rhumb_stack_deployment_open"+onShop, 1)
		old := s.requests()
		s.web++
		step := -1
		s.goes(3*time.Minute, func() {
			switch step++; step {
			case 1: // the first new replica starts, crashes once, and then isn't healthy at once
				s.start(1)
				s.set("rhumb_replica_unhealthy"+s.replica(1), 1)
				s.set("rhumb_replica_memory_bytes"+s.replica(1), 97)
				s.add("rhumb_service_restarts_total"+onWeb, 1)
				s.add("rhumb_log_lines_total"+onWeb+",level=fatal", 1) // the database system is starting up
			case 5:
				s.start(2)
				s.set("rhumb_service_replicas_ready"+onWeb, 1)
			case 9:
				s.set("rhumb_replica_unhealthy"+s.replica(1), 0)
				s.set("rhumb_replica_memory_bytes"+s.replica(1), 50)
				s.set("rhumb_service_replicas_ready"+onWeb, 2)
				s.end("release=" + itoa(s.web-1) + ",replica")
			case 10:
				s.end(old)
			}
			s.serve(150, 0.5, 3)
		})
		ended := d
		ended.Phase, ended.Ended = rhumb.PhaseConverged, s.now
		s.deployment("shop", &ended)
		s.set("rhumb_stack_deployment_open"+onShop, 0)
		s.goes(time.Duration(1+i%4)*2*time.Minute, nil)
		if got := s.heard(); got != "" {
			t.Fatalf("deployment %d: the messages are about %s", i, got)
		}
	}
}

func TestConditionsAreEvaluatedByTheRealStore(t *testing.T) {
	s := newSim(t, evaluateEvery)
	var rules []rhumb.AlertRule
	for name, text := range map[string]string{
		"cpu": "cpu > 80% for 2m", "cpus": "cpu > 3", "memory": "memory > 40% for 2m", "megabytes": "memory > 1GB",
		"errors": "errors > 5%", "failures": "errors > 0.001/s", "quiet": "requests < 60/m for 2m",
		"p50": "latency_p50 > 1ms", "p90": "latency_p90 > 4s", "p95": "latency_p95 > 300ms", "p99": "latency_p99 >= 1ms",
		"restarts": "restarts >= 1 in 5m", "lines": "error_lines > 0", "disk": "disk > 40%", "room": "disk > 60%",
	} {
		of := alertrule.Scope{Stack: "shop", Service: "web"}
		if strings.HasPrefix(text, "disk") {
			of.Service = ""
		}
		r, err := alertrule.Parse(text, of)
		if err != nil {
			t.Fatal(err)
		}
		r.Name, r.Stack, r.Service = name, of.Stack, of.Service
		rules = append(rules, r)
	}
	s.alerts.SetRules("shop", rules)
	s.goes(10*time.Minute, func() {
		s.serve(150, 0.2, 1)
		s.add("rhumb_replica_cpu_seconds_total"+s.replica(1), 14) // of 15 s
	})
	if got, want := s.heard(), "cpu disk failures memory p50 p99"; got != want {
		t.Errorf("the messages are about %s, want %s", got, want)
	}
	all, err := s.alerts.Alerts(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Rule == "cpu" && a.Text != "CPU of shop-web.42.1: 93.3%, over 80%" {
			t.Errorf("the text is %s", a.Text)
		}
	}
}
