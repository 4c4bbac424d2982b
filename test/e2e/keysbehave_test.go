package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb/internal/porttest"
)

// moment is something that became of a service's container.
type moment struct {
	at            time.Time
	what, service string // "start" or "die"
}

// diary records the engine's events about a stack's containers. The engine keeps only few events, which others cause
// too.
type diary struct {
	t     *testing.T
	mu    sync.Mutex
	notes []moment
}

// keepDiary notes until the test ends.
func (k *stack) keepDiary() *diary {
	k.t.Helper()
	d := &diary{t: k.t}
	cmd := exec.Command("docker", "events", "--filter", "type=container", "--filter", "event=start", "--filter",
		"event=die",
		"--filter", "label=dev.rhumb.stack="+k.name, "--format", "{{json .}}")
	out, err := cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	go d.read(out)
	return d
}

func (d *diary) read(r io.Reader) {
	dec := json.NewDecoder(r)
	for {
		var e struct {
			Action   string
			TimeNano int64
			Actor    struct{ Attributes map[string]string }
		}
		if dec.Decode(&e) != nil {
			return // the process has ended
		}
		d.mu.Lock()
		d.notes = append(d.notes, moment{time.Unix(0, e.TimeNano), e.Action, e.Actor.Attributes["dev.rhumb.service"]})
		d.mu.Unlock()
	}
}

// of returns the events of a service's containers since a time.
func (d *diary) of(service string, begun time.Time) []moment {
	time.Sleep(100 * time.Millisecond) // the event follows in a moment
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []moment
	for _, m := range d.notes {
		if m.service == service && m.at.After(begun) {
			list = append(list, m)
		}
	}
	return list
}

// starts returns the times at which a service's containers started.
func (d *diary) starts(service string, begun time.Time) []time.Time {
	var list []time.Time
	for _, m := range d.of(service, begun) {
		if m.what == "start" {
			list = append(list, m.at)
		}
	}
	return list
}

const stopping = `
services:
  box:
    image: debian:12-slim
    command: ["sh", "-c", "trap 'touch /v/usr1' USR1; while :; do sleep 0.1; done"]
    stop_signal: SIGUSR1
    stop_grace_period: 2s
    healthcheck: {test: [CMD, "true"], interval: 60s}
    volumes: ["vol:/v"]
volumes: {vol: {}}
`

func stopKeys(t *testing.T, s *server) {
	k := newStack(t, s, stopping)
	d := k.keepDiary()
	k.must(0, "deploy")
	begun := time.Now()
	k.must(0, "restart")
	var died time.Time
	for _, m := range d.of("box", begun) {
		if m.what == "die" {
			died = m.at
		}
	}
	if took := died.Sub(begun); took < 2*time.Second || took > 7*time.Second {
		t.Errorf("it was killed after %v", took)
	}
	k.sh("box", "test -e /v/usr1")
}

const depending = `
x-box: &box {image: "debian:12-slim", init: true, stop_grace_period: 1s, volumes: ["vol:/v:rw"]}
services:
  db:
    <<: *box
    command: ["sh", "-c", "rm -f /tmp/ready; sleep 1; touch /tmp/ready /v/db; sleep infinity"]
    environment: {CHANGE: "${CHANGE:-1}"}
    healthcheck: {test: ["CMD", "test", "-e", "/tmp/ready"], interval: 1s}
  job: {<<: *box, command: ["sh", "-c", "test -e /v/db && sleep 0.5 && touch /v/job"], depends_on: {db: {condition: service_healthy}}}
  web:
    <<: *box
    command: ["sh", "-c", "test -e /v/job && sleep infinity"]
    healthcheck: {test: [CMD, "true"], interval: 60s}
    deploy: {update_config: {order: start-first}}
    depends_on:
      job: {condition: service_completed_successfully}
      db: {condition: service_started, restart: true}
      ghost: {condition: service_started, required: false}
  ghost: {<<: *box, profiles: [never]}
  batch: {<<: *box, command: touch /v/batch, deploy: {mode: replicated-job}}
  everywhere: {<<: *box, command: touch /v/everywhere, deploy: {mode: global-job}}
  three: {image: "debian:12-slim", command: sleep infinity, init: true, healthcheck: {test: [CMD, "true"], interval: 60s}, scale: 3}
  two: {image: "debian:12-slim", command: sleep infinity, init: true, healthcheck: {test: [CMD, "true"], interval: 60s}, pull_policy: daily, deploy: {mode: replicated, replicas: 2}}
volumes: {vol: {}}
`

func dependKeys(t *testing.T, s *server) {
	k := newStack(t, s, depending)
	// The registry has no such image: the policy that asks it at every deployment fails.
	for policy, more := range map[string]string{"daily": "", "weekly": "", "every_12h": "",
		"refresh": "pull_refresh_after: 1h, "} {
		k.write("asks.yaml", "services: {box: {image: 'localhost:1/none:1', "+more+"pull_policy: "+policy+"}}")
		if r := s.rhumb(k.dir, "deploy", "-p", k.name, "-f", "asks.yaml"); r.code == 0 ||
			!strings.Contains(r.out, "localhost:1") {
			t.Errorf("pull_policy %s: %d, %s", policy, r.code, r.out)
		}
	}
	k.write("compose.yaml", strings.Replace(depending, "pull_policy: daily, ", "", 1))
	k.must(0, "deploy")
	k.sh("web", "cd /v && ls db job batch everywhere")
	for service, want := range map[string]int{"three": 3, "two": 2, "ghost": 0, "web": 1} {
		if got := strings.Count(strings.Join(k.containers(), " ")+" ", k.name+"-"+service+"."); got != want {
			t.Errorf("%s has %d containers, want %d", service, got, want)
		}
	}
	before := k.container("web")
	k.env = []string{"CHANGE=2"}
	k.must(0, "deploy")
	if after := k.container("web"); after == before {
		t.Error("web was not replaced with the service that it depends on")
	}
}

// restarting has services that end a second after they are let go.
const restarting = `
x-box: &box
  image: debian:12-slim
  volumes: ["vol:/v"]
  healthcheck: {test: [CMD, "true"], interval: 60s}
services:
  never: {<<: *box, command: ["sh", "-c", "until test -e /v/go; do sleep 0.2; done; sleep 1; exit 1"], restart: "no"}
  once: {<<: *box, command: ["sh", "-c", "until test -e /v/go; do sleep 0.2; done; sleep 1; exit 1"], restart: "on-failure:1"}
  well: {<<: *box, command: ["sh", "-c", "until test -e /v/go; do sleep 0.2; done; sleep 1"], restart: on-failure}
  again: {<<: *box, command: ["sh", "-c", "until test -e /v/go; do sleep 0.2; done; sleep 1"], restart: always}
  none: {<<: *box, command: ["sh", "-c", "until test -e /v/go; do sleep 0.2; done; sleep 1; exit 1"], deploy: {restart_policy: {condition: none}}}
  twice: {<<: *box, command: ["sh", "-c", "until test -e /v/go; do sleep 0.2; done; sleep 1; exit 1"], deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}}
  late: {<<: *box, command: ["sh", "-c", "until test -e /v/go; do sleep 0.2; done; sleep 1"], deploy: {restart_policy: {condition: any, delay: 4s}}}
  awake: {<<: *box, command: sleep infinity, init: true}
volumes: {vol: {}}
`

func restartKeys(t *testing.T, s *server) {
	k := newStack(t, s, restarting)
	d := k.keepDiary()
	begun := time.Now()
	k.must(0, "deploy")
	k.sh("awake", "touch /v/go")
	want := map[string]struct {
		least int
		apart time.Duration // 0: it is started no more often; else the least time between two starts
	}{
		"never": {least: 1}, "once": {least: 2}, "well": {least: 1}, "none": {least: 1}, "twice": {least: 3},
		"again": {2, 1500 * time.Millisecond}, // each runs for a second, and waits for one at least
		"late":  {2, 5 * time.Second},
	}
	eventually(t, time.Minute, "all are started as often as they may be", func() error {
		for service, w := range want {
			if starts := d.starts(service, begun); len(starts) < w.least {
				return fmt.Errorf("%s started %d times", service, len(starts))
			}
		}
		return nil
	})
	time.Sleep(5 * time.Second) // none is started once more
	for service, w := range want {
		starts := d.starts(service, begun)
		if w.apart == 0 && len(starts) > w.least {
			t.Errorf("%s started %d times, want %d", service, len(starts), w.least)
		}
		for i := 1; i < len(starts) && w.apart > 0; i++ {
			if after := starts[i].Sub(starts[i-1]); after < w.apart {
				t.Errorf("%s was back after %v, want at least %v", service, after, w.apart)
			}
		}
	}
}

const publishing = `
services:
  app:
    image: rhumb-test/app:1
    environment: {TCP: ":9000", UDP: ":9001"}
    ports:
      - {target: 8000, published: "${PORT}", app_protocol: http}
      - {target: 8000, published: "${P1}", app_protocol: HTTP}
      - {target: 8000, published: "${P2}", app_protocol: http/1.1}
      - {target: 8000, published: "${P3}", host_ip: 127.0.0.1}
      - {target: 8000, published: "${P4}", mode: host, host_ip: 127.0.0.1}
      - {target: 9001, published: "${P5}", protocol: udp, mode: ingress}
    x-rhumb: {drain: 0s}
`

func portKeys(t *testing.T, s *server) {
	k := newStack(t, s, publishing)
	var ports []int
	for i := range 5 {
		ports = append(ports, porttest.Free(t))
		k.env = append(k.env, fmt.Sprintf("P%d=%d", i+1, ports[i]))
	}
	k.must(0, "deploy")
	for port, understood := range map[int]bool{k.port: true, ports[0]: true, ports[1]: true, ports[2]: false,
		ports[3]: false} {
		code, body, err := fetch(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil || code != http.StatusOK || strings.Contains(body, "X-Forwarded-For") != understood {
			t.Errorf("port %d answers %d %s (%v); understood: %v", port, code, body, err, understood)
		}
	}
	for _, port := range ports[2:4] {
		if c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.2:%d", port), time.Second); err == nil {
			_ = c.Close()
			t.Errorf("port %d is open on other addresses too", port)
		}
	}
	if out := docker(t, "inspect", "--format", "{{json .HostConfig.PortBindings}}",
		k.container("app")); !strings.Contains(out, fmt.Sprintf(`"HostPort":"%d"`, ports[3])) ||
		strings.Count(out, "HostPort") != 1 {
		t.Errorf("the engine publishes %s", out)
	}
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", ports[4]))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	answer := make([]byte, 16)
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(answer); err != nil || string(answer[:n]) != "ping" {
		t.Errorf("UDP answers %q, %v", answer[:n], err)
	}
}

// updating changes by twos, two seconds apart, the old one first.
const updating = `
services:
  box:
    image: debian:12-slim
    init: true
    command: ["sh", "-c", "${COMMAND:-sleep infinity}"]
    environment: {RELEASE: "${RELEASE}"}
    restart: "no"
    stop_grace_period: 1s
    healthcheck: {test: [CMD, "true"], interval: 60s}
    volumes: ["vol:/v"]
    deploy:
      replicas: 4
      update_config: {parallelism: 2, delay: 2s, order: "${ORDER:-stop-first}", monitor: "${MONITOR:-0s}", failure_action: "${ACTION:-rollback}", max_failure_ratio: "${RATIO:-0}"}
      rollback_config: {parallelism: 1, delay: 1s, monitor: 500ms, failure_action: continue, max_failure_ratio: 0.5}
volumes: {vol: {}}
`

// words returns the events without their times.
func words(list []moment) string {
	var all []string
	for _, m := range list {
		all = append(all, m.what)
	}
	return strings.Join(all, " ")
}

func updateKeys(t *testing.T, s *server) {
	k := newStack(t, s, updating)
	d := k.keepDiary()
	release := func(code int, env ...string) (time.Time, string) {
		k.env = append([]string{fmt.Sprintf("RELEASE=%d", time.Now().UnixNano())}, env...)
		begun := time.Now()
		return begun, k.must(code, "deploy")
	}
	release(0)
	begun, _ := release(0)
	all := d.of("box", begun)
	if got := words(all); got != "die die start start die die start start" || all[4].at.Sub(all[3].at) < 2*time.Second {
		t.Errorf("stop-first, by twos, two seconds apart: %v", all)
	}
	release(0, "ORDER=start-first") // what was stop-first until now stops first once more
	begun, out := release(0, "ORDER=start-first")
	if got := words(d.of("box", begun)); !strings.HasPrefix(got, "start ") {
		t.Errorf("start-first: %s\n%s", got, out)
	}
	// One of the first two replicas of the next release dies within the monitor's time, a second after both have started.
	// It must not die earlier: a replica that isn't ready by then is replaced at once.
	const dies = "touch /v/$RELEASE-$HOSTNAME; until test $(ls /v | grep -c ^$RELEASE-) -ge 2; do sleep 0.1; done; " +
		"sleep 1; mkdir /v/$RELEASE 2>/dev/null && exit 7; sleep infinity"
	begun, out = release(3, "COMMAND="+dies, "MONITOR=4s")
	if !strings.Contains(out, "exited with 7") {
		t.Errorf("a death within the monitor's time: %s", out)
	}
	back := d.starts("box", begun)
	if n := len(back); n < 3 || !slices.IsSortedFunc(back, time.Time.Compare) || back[n-1].Sub(back[n-2]) < time.Second {
		t.Errorf("put back one by one, a second apart: %v", back)
	}
	if _, out := release(0, "COMMAND="+dies, "MONITOR=4s", "RATIO=0.5"); !strings.Contains(out, "exited with 7") {
		t.Errorf("one of four may fail: %s", out)
	}
	release(0, "COMMAND=sleep infinity")
	if _, out := release(6, "COMMAND="+dies, "MONITOR=4s", "ACTION=pause"); strings.Contains(out, "putting back") {
		t.Errorf("it isn't paused: %s", out)
	}
}
