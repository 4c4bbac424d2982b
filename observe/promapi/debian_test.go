package promapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rhumb/internal/porttest"
	"rhumb/observe/promapi"
)

// binary returns the path of a command of the distribution's package prometheus.
func binary(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("install the package prometheus: ", err)
		}
		t.Skip("install the package prometheus: ", err)
	}
	return path
}

// prometheus runs a Prometheus that has the samples of fill and scrapes an address. It returns its address.
func prometheus(t *testing.T, n int, scraped string) string {
	t.Helper()
	server, tool, dir := binary(t, "prometheus"), binary(t, "promtool"), t.TempDir()
	data := filepath.Join(dir, "data")
	samples, config := filepath.Join(dir, "samples"), filepath.Join(dir, "prometheus.yml")
	yml := "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: rhumb\n  static_configs: [{targets: ['" +
		strings.TrimPrefix(scraped, "http://") + "']}]\n"
	if err := os.WriteFile(samples, openMetrics(n), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(yml), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "config", config}, {"tsdb", "create-blocks-from", "openmetrics", samples, data},
	} {
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Fatalf("promtool %v: %v: %s", args, err, out)
		}
	}
	addr := fmt.Sprint("127.0.0.1:", porttest.Free(t))
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background()) // t's context ends before the cleanup
	c := exec.CommandContext(ctx, server, "--config.file="+config, "--storage.tsdb.path="+data,
		"--web.listen-address="+addr)
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait() // killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
	waitFor(t, func() bool {
		resp, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return "http://" + addr
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timed out waiting")
		}
	}
}

// openMetrics returns the samples of fill as text.
func openMetrics(n int) []byte {
	var b bytes.Buffer
	for _, k := range kinds() {
		var ls []string
		for _, l := range k.of.Labels {
			ls = append(ls, l.Name+`="`+strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(l.Value)+`"`)
		}
		for i := range n {
			fmt.Fprintf(&b, "%s{%s} %s %d\n", k.of.Name, strings.Join(ls, ","), strconv.FormatFloat(k.at(i), 'g', -1, 64),
				start.Add(time.Duration(i)*5*time.Second).Unix())
		}
	}
	b.WriteString("# EOF\n")
	return b.Bytes()
}

// result is the value of a query, by the text of its labels: the points, or the one point.
type result map[string][][2]float64

func evaluate(t *testing.T, addr, path string, form url.Values) result {
	t.Helper()
	a := ask(t, http.MethodPost, addr+"/api/v1/"+path, form)
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	if err := json.Unmarshal(a.Data, &data); err != nil || a.Status != "success" {
		t.Fatalf("%s %v: %s: %v", path, form, a.text, err)
	}
	if data.ResultType == "scalar" {
		return result{"": {point(t, data.Result)}}
	}
	var list []struct {
		Metric map[string]string
		Value  json.RawMessage
		Values []json.RawMessage
	}
	if err := json.Unmarshal(data.Result, &list); err != nil {
		t.Fatal(err)
	}
	r := result{}
	for _, s := range list {
		if s.Value != nil {
			s.Values = []json.RawMessage{s.Value}
		}
		key := fmt.Sprint(s.Metric)
		if r[key] != nil {
			t.Fatalf("%v: %s twice", form, key)
		}
		for _, v := range s.Values {
			r[key] = append(r[key], point(t, v))
		}
	}
	return r
}

// point reads [time, "value"].
func point(t *testing.T, b json.RawMessage) [2]float64 {
	t.Helper()
	var pair [2]any
	if err := json.Unmarshal(b, &pair); err != nil {
		t.Fatal(err)
	}
	v, err := strconv.ParseFloat(pair[1].(string), 64)
	if err != nil {
		t.Fatal(err)
	}
	return [2]float64{pair[0].(float64), v}
}

// ulps returns how many numbers lie between two.
func ulps(a, b float64) uint64 {
	if a == b || math.IsNaN(a) && math.IsNaN(b) {
		return 0
	}
	if math.Signbit(a) != math.Signbit(b) || math.IsNaN(a) || math.IsNaN(b) {
		return math.MaxUint64
	}
	x, y := math.Float64bits(a), math.Float64bits(b)
	return max(x, y) - min(x, y)
}

// sameQueries are answered by both. The times of the test are never those of a sample, because since its version 3
// Prometheus leaves out a sample at the very beginning of a range.
var sameQueries = []string{
	"1", "vector(3)/7", "time()", "-2 ^ 0.5", "rhumb_node_load1",
	"rhumb_requests_total", `rhumb_requests_total{service="web"}`,
	`{__name__=~"rhumb_node.*|app_.*"}`, "rhumb_replica_memory_bytes / 1024", "rate(rhumb_requests_total[1m])",
	"increase(rhumb_requests_total[3m])", "irate(rhumb_requests_total[1m])", "sum(rate(rhumb_requests_total[1m]))",
	"sum by (service) (rate(rhumb_requests_total[2m]))",
	"sum without (service, le) (rhumb_request_duration_seconds_bucket)",
	"histogram_quantile(0.95, sum by (le, service) (rate(rhumb_request_duration_seconds_bucket[2m])))",
	"histogram_quantile(0.5, rhumb_request_duration_seconds_bucket)",
	"rate(rhumb_request_duration_seconds_sum[1m]) / rate(rhumb_request_duration_seconds_count[1m])",
	"max by (stack) (rhumb_replica_memory_bytes)", "topk(2, rhumb_replica_memory_bytes)",
	"count(rhumb_requests_total > 50)",
	"quantile(0.9, rhumb_replica_memory_bytes)", "rhumb_requests_total unless on (service) (rhumb_requests_total > 100)",
	"rhumb_requests_total * on (service) group_left (replica) rhumb_replica_memory_bytes", "absent(nothing)",
	"absent(rhumb_node_load1)", "max_over_time(rhumb_node_load1[3m])", "quantile_over_time(0.3, rhumb_node_load1[3m])",
	"changes(rhumb_requests_total[5m])", "resets(rhumb_requests_total[8m])", "delta(rhumb_node_load1[1m])",
	"max_over_time(rate(rhumb_requests_total[1m])[4m:20s])", "app_queue offset 1m", "app_queue < bool 40",
	"clamp_max(app_queue, 50)", "round(rhumb_node_load1, 0.1)", "sqrt(app_queue)", "abs(app_queue - 100)",
	"label_replace(app_queue, 'to', '$1', 'stack', '(.).*')", "sort_desc(rhumb_requests_total)",
	"count_over_time(app_queue[2m])", "last_over_time(app_queue[2m])", "rhumb_node_load1 and app_queue",
	"timestamp(app_queue)", "minute()", "group by (service) (rhumb_requests_total)", "count_values('v', app_queue)",
}

func TestTheDistributionsPrometheusGivesTheSameAnswers(t *testing.T) {
	const n = 121
	own := served(t, promapi.Deps{Store: stored(t)})
	other := prometheus(t, n, own)
	compare := func(path string, form url.Values) {
		t.Helper()
		want, got := evaluate(t, other, path, form), evaluate(t, own, path, form)
		if len(want) != len(got) {
			t.Errorf("%s %v: %d series, want %d: %v, want %v", path, form, len(got), len(want), got, want)
			return
		}
		for key, points := range want {
			if !slices.EqualFunc(points, got[key], func(a, b [2]float64) bool { return a[0] == b[0] && ulps(a[1], b[1]) <= 1 }) {
				t.Errorf("%s %v: %s\ngot  %v\nwant %v", path, form, key, got[key], points)
			}
		}
	}
	begin, end := start.Add(61*time.Second), start.Add(9*time.Minute)
	for _, q := range sameQueries {
		compare("query_range", url.Values{"query": {q}, "step": {"7.5"}, // 61, 68.5, 76, 83.5, ... never a multiple of 5
			"start": {strconv.FormatInt(begin.Unix(), 10)}, "end": {end.Format(time.RFC3339Nano)}})
		compare("query", url.Values{"query": {q}, "time": {fmt.Sprint(begin.Unix()+200, ".25")}})
	}
	compare("query", url.Values{"query": {"app_queue[58s]"}, "time": {fmt.Sprint(begin.Unix() + 200)}})
	t.Logf("%d queries, each at one time and over a range", len(sameQueries))
}

func TestTheDistributionsPrometheusScrapesUs(t *testing.T) {
	s := stored(t)
	fill(t, s, time.Now().Add(-time.Minute), 12)
	own := served(t, promapi.Deps{Store: s})
	other := prometheus(t, 2, own)
	var got result
	all := url.Values{"query": {`{__name__=~"rhumb_.+",job="rhumb"}`}}
	waitFor(t, func() bool { got = evaluate(t, other, "query", all); return len(got) > 0 })
	want := evaluate(t, own, "query", url.Values{"query": {
		`label_replace(label_replace({__name__=~"rhumb_.+"}, "job", "rhumb", "", ""), "instance", "` +
			strings.TrimPrefix(own, "http://") + `", "", "")`}})
	if len(want) != 3*10+1 || len(got) != len(want) {
		t.Errorf("%d series were scraped of %d", len(got), len(want))
	}
	for key, points := range want {
		if len(got[key]) != 1 || got[key][0][1] != points[0][1] {
			t.Errorf("%s: %v, want %v", key, got[key], points)
		}
	}
	// Two types are known by their names, and the text is as promtool wants it.
	resp, err := http.Get(own + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	c := exec.CommandContext(t.Context(), binary(t, "promtool"), "check", "metrics")
	c.Stdin = resp.Body
	out, err := c.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "no help text") {
			t.Errorf("promtool: %s", line)
		}
	}
	t.Logf("promtool ended with %v", err)
}
