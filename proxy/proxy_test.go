package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/porttest"
	"rhumb/proxy"
)

// standardHTTP has all tests run with HTTP/1 served by the standard library.
var standardHTTP = os.Getenv("RHUMB_TEST_HTTP") == "standard"

// start runs a proxy until the test ends.
func start(t testing.TB, o proxy.Options) *proxy.Proxy {
	t.Helper()
	if o.Limits.StopTime == 0 {
		o.Limits.StopTime = 200 * time.Millisecond
	}
	o.StandardHTTP = o.StandardHTTP || standardHTTP
	p, err := proxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

// freeAddr returns an address of this host at which no process listens.
func freeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(porttest.Free(t)))
}

// web starts an HTTP replica that answers with its name, or as h says.
func web(t testing.TB, name string, h http.HandlerFunc) rhumb.Endpoint {
	t.Helper()
	if h == nil {
		h = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) }
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return endpoint(name, s.Listener.Addr().String())
}

func endpoint(name, addr string) rhumb.Endpoint {
	return rhumb.Endpoint{Replica: name, Name: name, Release: 1, Addr: netip.MustParseAddrPort(addr)}
}

// tcp starts a TCP replica that handles each connection with h.
func tcp(t testing.TB, name string, h func(net.Conn)) rhumb.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				h(c)
			})
		}
	})
	t.Cleanup(func() { l.Close() })
	return endpoint(name, l.Addr().String())
}

// echo sends its name, then repeats every line.
func echo(name string) func(net.Conn) {
	return func(c net.Conn) {
		fmt.Fprintln(c, name)
		io.Copy(c, c)
	}
}

func draining(e rhumb.Endpoint) rhumb.Endpoint {
	e.Draining = true
	return e
}

// one returns a table with one listener and one backend.
func one(version uint64, addr netip.AddrPort, proto rhumb.Protocol, hold time.Duration,
	es ...rhumb.Endpoint) rhumb.Table {
	return rhumb.Table{Version: version,
		Listeners: []rhumb.Listener{{Addr: addr, Protocol: proto, Backend: "shop/web:80"}},
		Backends:  []rhumb.Backend{{Name: "shop/web:80", Stack: "shop", Service: "web", Hold: hold, Endpoints: es}}}
}

func apply(t testing.TB, r rhumb.Router, table rhumb.Table) {
	t.Helper()
	if err := r.Apply(t.Context(), table); err != nil {
		t.Fatalf("apply version %d: %v (%s)", table.Version, err, rhumb.ErrorHint(err))
	}
}

func open(t testing.TB, r rhumb.Router, replica string) int {
	t.Helper()
	st, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Open[replica]
}

// waiting returns how many requests and connections are held.
func waiting(t testing.TB, r rhumb.Router) (n int) {
	t.Helper()
	st, err := r.Status(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, b := range st.Backends {
		n += b.Waiting
	}
	return n
}

// eventually waits until is returns true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	late, tick := time.After(5*time.Second), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func dialLine(t testing.TB, addr netip.AddrPort) (net.Conn, *bufio.Reader, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("first line: %v", err)
	}
	return c, r, strings.TrimSpace(line)
}

func TestADrainingReplicaKeepsConnectionsAndGetsNoNewOnes(t *testing.T) {
	p := start(t, proxy.Options{})
	a, b, addr := tcp(t, "a", echo("a")), tcp(t, "b", echo("b")), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, a))
	c, r, who := dialLine(t, addr)
	if who != "a" || open(t, p, "a") != 1 {
		t.Fatalf("got %s, open %d", who, open(t, p, "a"))
	}
	apply(t, p, one(2, addr, rhumb.TCP, 0, draining(a), b))
	for range 5 {
		if _, _, who := dialLine(t, addr); who != "b" {
			t.Fatalf("a new connection went to %s", who)
		}
	}
	fmt.Fprintln(c, "still here")
	if line, err := r.ReadString('\n'); line != "still here\n" {
		t.Fatalf("the old connection: %q, %v", line, err)
	}
	c.Close()
	eventually(t, "nothing is open at the replica", func() bool { return open(t, p, "a") == 0 })
}

func TestTheReplicaWithTheFewestConnectionsIsChosen(t *testing.T) {
	p := start(t, proxy.Options{})
	a, b, addr := tcp(t, "a", echo("a")), tcp(t, "b", echo("b")), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, a, b))
	for range 10 {
		dialLine(t, addr)
	}
	if x, y := open(t, p, "a"), open(t, p, "b"); x != 5 || y != 5 {
		t.Fatalf("open: %d and %d", x, y)
	}
}

func TestTheSidesOfAConnectionEndSeparately(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	sum := tcp(t, "sum", func(c net.Conn) {
		b, _ := io.ReadAll(c) // until the client has ended its half
		fmt.Fprintf(c, "%d bytes", len(b))
	})
	apply(t, p, one(1, addr, rhumb.TCP, 0, sum))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(make([]byte, 1<<20))
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if string(b) != "1048576 bytes" {
		t.Fatalf("%q, %v", b, err)
	}
}

func TestARequestIsHeldUntilAReplicaIsThere(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 10*time.Second))
	a := web(t, "a", nil)
	var applied sync.WaitGroup
	defer applied.Wait()
	applied.Go(func() {
		eventually(t, "the request waits", func() bool { return waiting(t, p) == 1 })
		apply(t, p, one(2, addr, rhumb.HTTP, 10*time.Second, a))
	})
	if code, body := get(t, "http://"+addr.String()); code != 200 || body != "a" {
		t.Fatalf("%d %q", code, body)
	}
	st, _ := p.Status(t.Context())
	if s := st.Backends["shop/web:80"]; s.Held != 1 || s.Releases[1].Served != 1 {
		t.Fatalf("stats: %+v", s)
	}
}

func TestARequestHeldTooLongIsAnswered503(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 50*time.Millisecond))
	r, err := http.Get("http://" + addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Fatalf("%d, %v", r.StatusCode, r.Header)
	}
}

func TestAConnectionIsHeldToo(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 10*time.Second))
	a := tcp(t, "a", echo("a"))
	var applied sync.WaitGroup
	applied.Go(func() {
		eventually(t, "the connection waits", func() bool { return waiting(t, p) == 1 })
		apply(t, p, one(2, addr, rhumb.TCP, 10*time.Second, a))
	})
	if _, _, who := dialLine(t, addr); who != "a" {
		t.Fatal(who)
	}
	applied.Wait()
	apply(t, p, one(3, addr, rhumb.TCP, 50*time.Millisecond))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("after the hold: %v", err)
	}
}

func TestTheClientIsARouter(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "proxy.sock")
	start(t, proxy.Options{Socket: socket, State: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	c := proxy.Dial(socket)
	eventually(t, "the socket answers", func() bool { _, err := c.Status(t.Context()); return err == nil })
	addr, a := freeAddr(t), web(t, "a", nil)
	apply(t, c, one(7, addr, rhumb.HTTP, 0, a))
	apply(t, c, one(7, addr, rhumb.HTTP, 0, a)) // the very same again
	if _, body := get(t, "http://"+addr.String()); body != "a" {
		t.Fatal(body)
	}
	if err := c.Apply(t.Context(), one(7, addr, rhumb.HTTP, 0)); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Fatalf("another table of the same version: %v", err)
	}
	if err := c.Apply(t.Context(), one(6, addr, rhumb.HTTP, 0)); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Fatalf("an older table: %v", err)
	}
	st, err := c.Status(t.Context())
	if err != nil || st.Table.Version != 7 || st.PID == 0 || st.Backends["shop/web:80"].Releases[1].Served != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
}
