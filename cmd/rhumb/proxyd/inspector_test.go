package proxyd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/porttest"
	"rhumb/proxy"
	"rhumb/waf"
)

// This test's binary is also the process that looks at requests.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == InspectorName {
		if err := RunInspector(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// walled runs a proxy that blocks attacks on one route, until stop is called or the test ends.
func walled(t *testing.T, dir string) (p *proxy.Proxy, stop func()) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	p, err := proxy.New(proxy.Options{State: dir, Socket: filepath.Join(dir, "s"), Log: log,
		Limits: proxy.Limits{StopTime: time.Second}, WAF: waf.New(waf.Options{Command: inspector, Log: log})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	select {
	case <-p.Serving():
	case <-time.After(20 * time.Second):
		t.Fatal("the proxy doesn't serve")
	}
	return p, stop
}

// blockingTable returns a table whose only route blocks attacks.
func blockingTable(t *testing.T, port int) rhumb.Table {
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(replica.Close)
	set := rhumb.OptionsOf(&rhumb.RouteOptions{WAF: &rhumb.WAF{Mode: rhumb.WAFBlock, Paranoia: 1,
		Score: rhumb.WAFScore, Body: rhumb.WAFBody, Exclude: []rhumb.WAFExclusion{{Path: "/sql"}}}})
	return rhumb.Table{Version: 1, Options: []rhumb.TableOptions{set},
		Listeners: []rhumb.Listener{{Addr: local(port), Protocol: rhumb.HTTP}},
		Rules:     []rhumb.Rule{{Backend: "b", Options: set.ID}},
		Backends: []rhumb.Backend{{Name: "b", Endpoints: []rhumb.Endpoint{{Replica: "r", Release: 1,
			Addr: netip.MustParseAddrPort(replica.Listener.Addr().String())}}}}}
}

// answered sends a request and returns the answer's status; with a body it is a form.
func answered(t *testing.T, port int, target, body string) int {
	t.Helper()
	method := "GET"
	if body != "" {
		method = "POST"
	}
	r, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", port, target), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example.com"
	r.Header.Set("Accept", "*/*")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

func TestAttacksAreBlockedByTheCoreRuleSet(t *testing.T) {
	port := porttest.Free(t)
	p, stop := walled(t, t.TempDir())
	if n := inspectors(t); len(n) != 0 {
		t.Fatalf("processes %v look at requests before a table asks for that", n)
	}
	if err := p.Apply(t.Context(), blockingTable(t, port)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "requests are looked at", func() bool { return answered(t, port, "/", "") == 200 })
	harmful := map[string][2]string{
		"SQL":      {"/items?id=" + url.QueryEscape("1' OR '1'='1'--"), ""},
		"a form":   {"/login", "user=admin%27+UNION+SELECT+password+FROM+users--"},
		"a script": {"/?q=" + url.QueryEscape("<script>alert(1)</script>"), ""},
		"a path":   {"/?file=../../../../etc/passwd", ""},
	}
	for what, r := range harmful {
		if got := answered(t, port, r[0], r[1]); got != 403 {
			t.Errorf("%s: %d", what, got)
		}
	}
	for _, r := range [][2]string{{"/", ""}, {"/search?q=red+shoes", ""}, {"/login", "user=ada&password=correct+horse"},
		{"/sql?q=" + url.QueryEscape("1' OR '1'='1'--"), ""}} {
		if got := answered(t, port, r[0], r[1]); got != 200 {
			t.Errorf("%q: %d", r, got)
		}
	}
	pids := inspectors(t)
	if len(pids) != 1 {
		t.Fatalf("%v look at requests", pids)
	}
	t.Logf("the process takes %s", memoryOf(t, pids[0]))
	kill(t, pids[0])
	if got := answered(t, port, "/", ""); got != 503 {
		t.Errorf("while nothing looks at requests: %d", got)
	}
	eventually(t, "requests are looked at again", func() bool { return answered(t, port, "/", "") == 200 })
	if got := answered(t, port, harmful["SQL"][0], ""); got != 403 {
		t.Errorf("after its next start: %d", got)
	}
	stop()
	if n := inspectors(t); len(n) != 0 {
		t.Errorf("%v outlive the proxy", n)
	}
}

func TestASuccessorLooksAtRequestsFromItsFirstOne(t *testing.T) {
	port, dir := porttest.Free(t), t.TempDir()
	first, _ := walled(t, dir)
	if err := first.Apply(t.Context(), blockingTable(t, port)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan int)
	go func() { // ends with ctx
		n := 0
		for ; ctx.Err() == nil; n++ {
			if got := answered(t, port, "/", ""); got != 200 {
				t.Errorf("request %d: %d", n, got)
			}
		}
		asked <- n
	}()
	walled(t, dir)
	for range 20 {
		if got := answered(t, port, "/?q="+url.QueryEscape("<script>alert(1)</script>"), ""); got != 403 {
			t.Errorf("an attack after the takeover: %d", got)
		}
	}
	cancel()
	t.Logf("%d requests", <-asked)
}

// inspectors returns the processes that this one has started to look at requests.
func inspectors(t *testing.T) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest) // state, parent
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) && f[0] != "Z" {
			pids = append(pids, pid)
		}
	}
	return pids
}

func memoryOf(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(size)
		}
	}
	return "nothing"
}

func kill(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until is returns true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	late, tick := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("not in time:", what)
		}
	}
}
