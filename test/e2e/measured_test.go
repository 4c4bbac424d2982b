package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// burning has a replica that keeps half a CPU busy and holds 64 MB.
const burning = `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V:-1}", BURN: "0.5", HOLD: "64"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    deploy: {resources: {limits: {memory: 256M}}}
    x-rhumb: {ready: {http: /health, port: 8000}, metrics: {port: 8000}}
`

// get returns the answer of a GET to the server's own addresses.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: 30 * time.Second}
	resp, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, bodyOf(resp)
}

// bodyOf reads and closes the body of an answer.
func bodyOf(resp *http.Response) string {
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// value returns the value of an expression that has one series now. It asks as Grafana does.
func (s *server) value(expr string) (float64, error) {
	form := url.Values{"query": {expr}}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).PostForm(
		fmt.Sprintf("http://127.0.0.1:%d/api/v1/query", s.metrics), form)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var a struct {
		Status string
		Error  string
		Data   struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return 0, err
	}
	if a.Status != "success" || len(a.Data.Result) != 1 {
		return 0, fmt.Errorf("%s: %s %s, %d series", expr, a.Status, a.Error, len(a.Data.Result))
	}
	text, _ := a.Data.Result[0].Value[1].(string)
	return strconv.ParseFloat(text, 64)
}

// about waits until the value of an expression is between two bounds.
func (s *server) about(expr string, low, high float64) {
	s.t.Helper()
	eventually(s.t, 90*time.Second, expr, func() error {
		v, err := s.value(expr)
		if err == nil && (v < low || v > high) {
			err = fmt.Errorf("it is %g, want %g to %g", v, low, high)
		}
		return err
	})
}

// usesCPU waits until the measured use of CPU is the one that the kernel counts for the stack's processes. On a busy
// machine they use less than they would.
func (s *server) usesCPU(k *stack) {
	s.t.Helper()
	const span = 20 * time.Second
	expr := fmt.Sprintf(`sum(rate(rhumb_replica_cpu_seconds_total{stack=%q}[20s]))`, k.name)
	eventually(s.t, 90*time.Second, expr, func() error {
		before := k.cpu()
		pause(s.t, span)
		want := (k.cpu() - before).Seconds() / span.Seconds()
		v, err := s.value(expr)
		if err == nil && (want < 0.01 || v < 0.6*want || v > 1.6*want) {
			err = fmt.Errorf("it is %g, want about %g", v, want)
		}
		return err
	})
}

// cpu returns the CPU time that the stack's processes have used.
func (k *stack) cpu() (sum time.Duration) {
	for _, id := range strings.Fields(docker(k.t, "ps", "-q", "--filter", "name=^"+k.name)) {
		pid, err := strconv.Atoi(strings.TrimSpace(docker(k.t, "inspect", "-f", "{{.State.Pid}}", id)))
		if err != nil {
			k.t.Fatal(err)
		}
		sum += cpuTime(k.t, pid)
	}
	return sum
}

func TestWhatReplicasAndRoutesDoIsMeasured(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := measuredServer(t)
	k := newStack(t, s, burning)
	k.must(0, "deploy")
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 40})
	of := func(format string) string { return strings.ReplaceAll(format, "S", fmt.Sprintf("stack=%q", k.name)) }
	s.usesCPU(k)
	s.about(of(`sum(rhumb_replica_memory_bytes{S})`), 60e6, 120e6)
	s.about(of(`rhumb_replica_memory_limit_bytes{S}`), 256<<20, 256<<20)
	s.about(of(`sum by (release)(rate(rhumb_requests_total{S,release="1"}[30s]))`), 30, 50)
	s.about(of(`rhumb_service_replicas_ready{S}`), 1, 1)
	s.about(of(`rhumb_scrape_up{S}`), 1, 1)
	s.about(of(`sum(app_requests_total{S})`), 100, 1e6)
	s.about(`rhumb_process_up{process="proxy"}`, 1, 1)
	s.about(`rhumb_node_memory_bytes`, 1e8, 1e13)

	k.env = []string{"V=2"}
	k.must(0, "deploy")
	s.about(of(`sum by (release)(rate(rhumb_requests_total{S,release="2"}[20s]))`), 30, 50)
	y := l.end()
	if y.failed > 0 {
		t.Errorf("failed: %v", y)
	}
	total, err := s.value(of(`sum(rhumb_requests_total{S})`))
	if err != nil || total > float64(y.sent) || total < float64(y.sent)/2 {
		t.Errorf("%g requests were counted, %d were made: %v", total, y.sent, err)
	}
	if code, text := get(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", s.metrics)); code != 200 ||
		!strings.Contains(text, of(`rhumb_requests_total{backend=`)) || !strings.Contains(text, "rhumb_node_cpus ") {
		t.Errorf("/metrics: %d, %.300s", code, text)
	}
	for _, c := range [][]string{{"top", "--once"}, {"metrics", of("sum(rhumb_replica_memory_bytes{S})")}} {
		if r := s.rhumb("", c...); r.code != 0 || !strings.Contains(r.out, "MB") && !strings.Contains(r.out, "MiB") {
			t.Errorf("rhumb %s exits with %d: %s", c[0], r.code, r.out)
		}
	}
	if r := s.rhumb("", "nodes"); r.code != 0 || !strings.Contains(r.out, k.name) {
		t.Errorf("rhumb nodes exits with %d: %s", r.code, r.out)
	}
}

func TestMeasuringGoesOnWhateverIsAway(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := measuredServer(t)
	k := newStack(t, s, burning)
	k.must(0, "deploy")
	s.usesCPU(k)
	s.kill() // the daemon; observe and the proxy go on
	s.about(`rhumb_process_up{process="server"}`, 0, 0)
	s.usesCPU(k)
	s.start()
	s.await()
	s.about(`rhumb_process_up{process="server"}`, 1, 1)
	if err := syscall.Kill(s.observer(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.usesCPU(k)
	code, text := get(t, fmt.Sprintf("http://127.0.0.1:%d/api/v1/query_range?query=%s&start=%d&end=%d&step=5", s.metrics,
		url.QueryEscape("rhumb_node_cpus"), time.Now().Add(-10*time.Minute).Unix(), time.Now().Unix()))
	if code != 200 || strings.Count(text, `,"`) < 6 { // the values of the time before the kill are there
		t.Errorf("after a kill: %d, %s", code, text)
	}
}
