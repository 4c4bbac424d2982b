package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// TestMain lets the test binary be a proxy process: tests of takeovers and crashes need real ones.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RHUMB_TEST_PROXY"); dir != "" {
		os.Exit(proxyProcess(dir))
	}
	os.Exit(m.Run())
}

func proxyProcess(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	p, err := proxy.New(proxy.Options{State: dir, Socket: filepath.Join(dir, "s"),
		Limits: proxy.Limits{QuietTime: time.Second, HandoverTime: 20 * time.Second},
		Log:    slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err == nil {
		err = p.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a proxy in a process of its own.
type process struct {
	*exec.Cmd
	ended chan error
}

// spawn starts a proxy process and waits until it answers on the control socket.
func spawn(t *testing.T, dir string) process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "RHUMB_TEST_PROXY="+dir)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := process{cmd, make(chan error, 1)}
	go func() { p.ended <- cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-p.ended })
	c := proxy.Dial(filepath.Join(dir, "s"))
	eventually(t, "the new process has the control socket", func() bool {
		st, err := c.Status(t.Context())
		return err == nil && st.PID == cmd.Process.Pid
	})
	return p
}

// load does requests until stopped: on new connections and on kept ones, GET and POST, and over raw TCP. None may fail.
type load struct {
	stop     chan struct{}
	wg       sync.WaitGroup
	requests atomic.Int64
	failed   atomic.Int64
	first    sync.Once
	why      error
}

func startLoad(url, tcpAddr string, workers int) *load {
	l := &load{stop: make(chan struct{})}
	for i := range workers {
		tr := &http.Transport{DisableKeepAlives: i%2 == 0}
		c := &http.Client{Transport: tr, Timeout: 20 * time.Second}
		l.wg.Go(func() {
			defer tr.CloseIdleConnections()
			l.run(func() error { return request(c, url, i%4 < 2) })
		})
	}
	if tcpAddr != "" {
		l.wg.Go(func() { l.run(func() error { return line(tcpAddr) }) })
	}
	return l
}

func (l *load) run(once func() error) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		l.requests.Add(1)
		if err := once(); err != nil {
			l.failed.Add(1)
			l.first.Do(func() { l.why = err })
		}
	}
}

func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	t.Logf("%d requests, %d failed", l.requests.Load(), l.failed.Load())
	if l.failed.Load() > 0 {
		t.Errorf("the first failure: %v", l.why)
	}
}

// request posts a body, so that no client or transport repeats it in silence.
func request(c *http.Client, url string, post bool) error {
	method, body := http.MethodGet, ""
	if post {
		method, body = http.MethodPost, "some words"
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.GetBody = nil
	r, err := c.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", r.Status, b)
	}
	return err
}

func line(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 2)
	_, err = io.ReadFull(c, b)
	return err
}

func TestATakeoverUnderLoadLosesNothing(t *testing.T) {
	dir := t.TempDir()
	c := proxy.Dial(filepath.Join(dir, "s"))
	spawn(t, dir)
	httpAddr, tcpAddr := freeAddr(t), freeAddr(t)
	slow := web(t, "slow", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/slow" {
			time.Sleep(3 * time.Second)
		}
		fmt.Fprint(w, "done")
	})
	table := rhumb.Table{Version: 5,
		Listeners: []rhumb.Listener{{Addr: httpAddr, Protocol: rhumb.HTTP, Backend: "w"}, {Addr: tcpAddr, Protocol: rhumb.TCP, Backend: "t"}},
		Backends: []rhumb.Backend{{Name: "w", Stack: "shop", Endpoints: []rhumb.Endpoint{slow}},
			{Name: "t", Stack: "shop", Endpoints: []rhumb.Endpoint{tcp(t, "e", echo("e"))}}}}
	apply(t, c, table)
	l := startLoad("http://"+httpAddr.String(), tcpAddr.String(), 4)
	conn, r, _ := dialLine(t, tcpAddr)
	for range 3 {
		var slowDone sync.WaitGroup
		slowDone.Go(func() {
			if code, body := get(t, "http://"+httpAddr.String()+"/slow"); code != 200 || body != "done" {
				t.Errorf("the slow request: %d %q", code, body)
			}
		})
		time.Sleep(200 * time.Millisecond)
		spawn(t, dir)
		if open(t, c, "slow") < 1 {
			t.Error("the new proxy doesn't know what the old one has open")
		}
		table.Version++
		apply(t, c, table)
		slowDone.Wait()
	}
	fmt.Fprintln(conn, "hello")
	if s, err := r.ReadString('\n'); s != "hello\n" {
		t.Errorf("the oldest proxy's connection: %q, %v", s, err)
	}
	l.end(t)
	eventually(t, "only the oldest proxy's connection is open", func() bool { return open(t, c, "e") == 1 })
	time.Sleep(1500 * time.Millisecond) // the proxies in between have ended
	if n := open(t, c, "e"); n != 1 {
		t.Errorf("the oldest proxy's connection is counted as %d", n)
	}
	conn.Close()
	eventually(t, "nothing is open", func() bool { return open(t, c, "e") == 0 && open(t, c, "slow") == 0 })
}
