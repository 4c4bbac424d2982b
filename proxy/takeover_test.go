package proxy_test

import (
	"bufio"
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

	"github.com/coder/websocket"

	"rhumb"
	"rhumb/proxy"
)

// TestMain lets the test binary be a proxy process: tests of takeovers and crashes need real processes.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RHUMB_TEST_PROXY"); dir != "" {
		os.Exit(proxyProcess(dir))
	}
	os.Exit(m.Run())
}

func proxyProcess(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	certs, err := makePocket([]string{"tls.test"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p, err := proxy.New(proxy.Options{State: dir, Socket: filepath.Join(dir, "s"), Certificates: certs,
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

func (p process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// spawn starts a proxy process and waits until it answers on the control socket.
func spawn(t *testing.T, dir string) process {
	t.Helper()
	p := launch(t, dir)
	c := proxy.Dial(filepath.Join(dir, "s"))
	eventually(t, "the new process answers on the control socket", func() bool {
		st, err := c.Status(t.Context())
		return err == nil && st.PID == p.Process.Pid
	})
	return p
}

// launch starts a proxy process.
func launch(t *testing.T, dir string) process {
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

// request posts a body, so that no client or transport repeats it unnoticed.
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

func echoWebSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, b, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, b) != nil {
			return
		}
	}
}

// webSocket opens a WebSocket, and sends messages on it for a while.
func webSocket(ctx context.Context, url string) error {
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	for range 200 {
		if err := c.Write(ctx, websocket.MessageText, []byte("hi")); err != nil {
			return err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
	}
	return c.Close(websocket.StatusNormalClosure, "")
}

func TestATakeoverUnderLoadLosesNothing(t *testing.T) {
	dir := t.TempDir()
	c := proxy.Dial(filepath.Join(dir, "s"))
	spawn(t, dir)
	httpAddr, tcpAddr := freeAddr(t), freeAddr(t)
	release := make(chan struct{}, 1)
	var atSlow atomic.Int64
	slow := web(t, "slow", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			echoWebSocket(w, r)
			return
		}
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/slow" {
			atSlow.Add(1)
			<-release
		}
		fmt.Fprint(w, "done")
	})
	table := rhumb.Table{Version: 5,
		Listeners: []rhumb.Listener{{Addr: httpAddr, Protocol: rhumb.HTTP, Backend: "w"},
			{Addr: tcpAddr, Protocol: rhumb.TCP, Backend: "t"}},
		Backends: []rhumb.Backend{{Name: "w", Stack: "shop", Endpoints: []rhumb.Endpoint{slow}},
			{Name: "t", Stack: "shop", Endpoints: []rhumb.Endpoint{tcp(t, "e", echo("e"))}}}}
	apply(t, c, table)
	l := startLoad("http://"+httpAddr.String(), tcpAddr.String(), 4)
	l.wg.Go(func() { l.run(func() error { return webSocket(t.Context(), "ws://"+httpAddr.String()+"/ws") }) })
	conn, r, _ := dialLine(t, tcpAddr)
	var procs []process
	for round := range int64(3) {
		var slowDone sync.WaitGroup
		slowDone.Go(func() {
			if code, body := get(t, "http://"+httpAddr.String()+"/slow"); code != 200 || body != "done" {
				t.Errorf("the slow request: %d %q", code, body)
			}
		})
		eventually(t, "the slow request is under way", func() bool { return atSlow.Load() == round+1 })
		procs = append(procs, spawn(t, dir))
		if open(t, c, "slow") < 1 {
			t.Error("the new proxy doesn't count what the old one has open")
		}
		table.Version++
		apply(t, c, table)
		release <- struct{}{}
		slowDone.Wait()
	}
	fmt.Fprintln(conn, "hello")
	if s, err := r.ReadString('\n'); s != "hello\n" {
		t.Errorf("the oldest proxy's connection: %q, %v", s, err)
	}
	l.end(t)
	eventually(t, "only the oldest proxy's connection is open", func() bool { return open(t, c, "e") == 1 })
	eventually(t, "the proxies in between have ended", func() bool {
		return !procs[0].running() &&
			!procs[1].running()
	})
	if n := open(t, c, "e"); n != 1 {
		t.Errorf("the oldest proxy's connection is counted as %d", n)
	}
	conn.Close()
	eventually(t, "nothing is open", func() bool { return open(t, c, "e") == 0 && open(t, c, "slow") == 0 })
}

func TestAnOldProxyServesTheNewOnesTables(t *testing.T) {
	o := proxy.Options{State: t.TempDir(), Limits: proxy.Limits{QuietTime: time.Second}}
	o.Socket = filepath.Join(o.State, "s")
	old, addr := start(t, o), freeAddr(t)
	answer := make(chan struct{})
	a := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "a")
		_ = http.NewResponseController(w).Flush() // its client sees it, or not
		<-answer
	})
	apply(t, old, one(1, addr, rhumb.HTTP, 0, a))
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	answers := bufio.NewReader(conn)
	// An answer that begins after the takeover asks its client to come back elsewhere; this one begins before.
	fmt.Fprint(conn, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	slow, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, start(t, o), one(2, addr, rhumb.HTTP, 0, web(t, "b", nil)))
	close(answer)
	if got, err := io.ReadAll(slow.Body); string(got) != "a" || err != nil {
		t.Errorf("the request that was under way: %q, %v", got, err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	next, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(next.Body); string(got) != "b" || err != nil || !next.Close {
		t.Errorf("the next one on the old proxy's connection: %q, %v, the last: %v", got, err, next.Close)
	}
}

func TestAnAbandonedTakeoverChangesNothing(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	first := spawn(t, dir)
	c := proxy.Dial(socket)
	addr := freeAddr(t)
	table := one(1, addr, rhumb.HTTP, 0, web(t, "a", nil))
	apply(t, c, table)
	// the successor dies before, after, and instead of the next byte
	for _, sent := range []string{"", "\x01", "\x01\x07"} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "POST /takeover HTTP/1.1\r\nHost: proxy\r\n\r\n"+sent)
		conn.Read(make([]byte, 10))
		conn.Close()
		table.Version++
		apply(t, c, table)
	}
	if _, body := get(t, "http://"+addr.String()); body != "a" {
		t.Fatal(body)
	}
	st, err := c.Status(t.Context())
	if err != nil || st.PID != first.Process.Pid {
		t.Fatalf("%+v, %v", st, err)
	}
}

func TestProxiesStartedTogetherSucceedOneAnother(t *testing.T) {
	dir := t.TempDir()
	c := proxy.Dial(filepath.Join(dir, "s"))
	addr := freeAddr(t)
	spawn(t, dir)
	apply(t, c, one(1, addr, rhumb.HTTP, 0, web(t, "a", nil)))
	l := startLoad("http://"+addr.String(), "", 2)
	var ps []process
	for range 3 {
		ps = append(ps, launch(t, dir))
	}
	eventually(t, "all but one have ended", func() bool {
		alive := 0
		for _, p := range ps {
			if p.running() {
				alive++
			}
		}
		return alive == 1
	})
	l.end(t)
	apply(t, c, one(2, addr, rhumb.HTTP, 0, web(t, "b", nil)))
	if _, body := get(t, "http://"+addr.String()); body != "b" {
		t.Fatal(body)
	}
}
