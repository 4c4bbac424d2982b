package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// limitedTo returns a table of one backend with limits.
func limitedTo(version uint64, addr netip.AddrPort, proto rhumb.Protocol, e rhumb.Endpoint,
	limits ...rhumb.Limit) rhumb.Table {
	t := one(version, addr, proto, 0, e)
	t.Backends[0].Limits = limits
	return t
}

// few is a limit that no test outlasts: three requests, and one more in an hour.
var few = rhumb.Limit{Rate: rhumb.Rate{Count: 1, Per: time.Hour}, Burst: 2}

// query sends a request with fields, and returns the answer and its body.
func query(t testing.TB, c *http.Client, method, url string, body io.Reader,
	fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// clientOf returns a client that speaks HTTP/1, or HTTP/2.
func clientOf(t testing.TB, two bool) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!two)
	tr.Protocols.SetUnencryptedHTTP2(two)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// limitStats returns what the limits of the one backend have done.
func limitStats(t testing.TB, r rhumb.Router) rhumb.LimitStats {
	t.Helper()
	st, err := r.Status(t.Context())
	if err != nil || st.Backends["shop/web:80"].Limits == nil {
		t.Fatalf("no limits: %v", err)
	}
	return *st.Backends["shop/web:80"].Limits
}

func TestARequestOverItsLimitIsRefused(t *testing.T) {
	for _, two := range []bool{false, true} {
		p, addr, c := start(t, proxy.Options{}), freeAddr(t), clientOf(t, two)
		var asked atomic.Int64
		e := web(t, "a", func(w http.ResponseWriter, r *http.Request) { asked.Add(1) })
		apply(t, p, limitedTo(1, addr, rhumb.HTTP, e, few))
		url := "http://" + addr.String() + "/"
		for range 3 {
			if resp, _ := query(t, c, "GET", url, nil); resp.StatusCode != 200 {
				t.Fatalf("status %d within the limit", resp.StatusCode)
			}
		}
		resp, body := query(t, c, "GET", url, nil)
		h := resp.Header
		if resp.StatusCode != 429 || h.Get("Retry-After") != "3600" || h.Get("RateLimit-Policy") != `"client";q=3;w=10800` ||
			h.Get("RateLimit") != `"client";r=0;t=3600` || h.Get("Cache-Control") != "no-store" {
			t.Errorf("HTTP/2 %v: %d, %v", two, resp.StatusCode, h)
		}
		if !two && (!strings.HasPrefix(body, "429 Too Many Requests: ") || resp.Close) {
			t.Errorf("%q, closes: %v", body, resp.Close)
		}
		for range 4 {
			query(t, c, "HEAD", url, nil)
			query(t, c, "POST", url, strings.NewReader(strings.Repeat("a", 100_000)))
		}
		if st := limitStats(t, p); st.Refused != 9 || st.Since.IsZero() || asked.Load() != 3 {
			t.Errorf("HTTP/2 %v: %+v, %d reached the replica", two, st, asked.Load())
		}
		next := limitedTo(2, addr, rhumb.HTTP, e, few)
		next.Backends[0].Hold = time.Second
		apply(t, p, next)
		if resp, _ := query(t, c, "GET", url, nil); resp.StatusCode != 429 {
			t.Errorf("a new table has made the limit forget: %d", resp.StatusCode)
		}
	}
}

func TestARefusalIsAPageInTheClientsForm(t *testing.T) {
	p, addr, c := start(t, proxy.Options{}), freeAddr(t), clientOf(t, false)
	unavailable := few
	unavailable.Status, unavailable.Burst = 503, 0
	apply(t, p, limitedTo(1, addr, rhumb.HTTP, web(t, "a", nil), unavailable))
	url := "http://" + addr.String() + "/"
	query(t, c, "GET", url, nil)
	for accept, want := range map[string]string{"text/html": "<h1>Too many requests", "application/json": `"status": 503`,
		"*/*": "503 Service Unavailable: Too many requests"} {
		resp, body := query(t, c, "GET", url, nil, "Accept", accept)
		if resp.StatusCode != 503 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q", accept, resp.StatusCode, body)
		}
	}
}

func TestTheClientIsTheLastThatIsNotTrusted(t *testing.T) {
	o := proxy.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("10.0.0.0/8")}}
	p, addr, c := start(t, o), freeAddr(t), clientOf(t, false)
	apply(t, p, limitedTo(1, addr, rhumb.HTTP, web(t, "a", nil), few))
	passes := func(chain string) (n int) {
		for range 5 {
			var fields []string
			if chain != "" {
				fields = []string{"X-Forwarded-For", chain}
			}
			if resp, _ := query(t, c, "GET", "http://"+addr.String(), nil, fields...); resp.StatusCode == 200 {
				n++
			}
		}
		return n
	}
	for _, x := range []struct {
		chain string
		want  int
	}{
		{"", 5}, {"10.1.2.3", 5}, {"192.0.2.1", 3}, {"192.0.2.1, 10.1.2.3", 0}, {"198.51.100.1, 192.0.2.1", 0},
		{"192.0.2.1, 198.51.100.1", 3}, {"2001:db8::1", 3}, {"2001:db8::2, 10.0.0.1", 0},
	} {
		if got := passes(x.chain); got != x.want {
			t.Errorf("%q: %d of 5 passed, want %d", x.chain, got, x.want)
		}
	}
}

func TestWhatOneAddressClaimsMakesNoOtherClient(t *testing.T) {
	p, addr, c := start(t, proxy.Options{}), freeAddr(t), clientOf(t, false)
	apply(t, p, limitedTo(1, addr, rhumb.HTTP, web(t, "a", nil), few))
	passed := 0
	for i := range 9 {
		resp, _ := query(t, c, "GET", "http://"+addr.String(), nil, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i),
			"X-Real-IP", fmt.Sprintf("192.0.2.%d", i), "Forwarded", fmt.Sprintf("for=192.0.2.%d", i))
		if resp.StatusCode == 200 {
			passed++
		}
	}
	if passed != 3 {
		t.Errorf("%d passed", passed)
	}
}

func TestALimitOfOneRouteIsForThatRoute(t *testing.T) {
	p, addr, c := start(t, proxy.Options{}), freeAddr(t), clientOf(t, false)
	routed := few
	routed.Route = "shop.test/v1"
	table := limitedTo(1, addr, rhumb.HTTP, web(t, "a", nil), routed)
	table.Listeners[0].Backend = ""
	table.Rules = []rhumb.Rule{{Host: "shop.test", Backend: "shop/web:80"},
		{Host: "shop.test", Path: "/v1", Backend: "shop/web:80"}}
	apply(t, p, table)
	passed := map[string]int{}
	for range 5 {
		for _, path := range []string{"/", "/v1/a", "/v10"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr.String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "shop.test"
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode == 200 {
				passed[path]++
			}
		}
	}
	if passed["/"] != 5 || passed["/v1/a"] != 3 || passed["/v10"] != 5 {
		t.Errorf("passed: %v", passed)
	}
}

func TestABodyOverItsLimitIsRefused(t *testing.T) {
	for _, two := range []bool{false, true} {
		p, addr, c := start(t, proxy.Options{}), freeAddr(t), clientOf(t, two)
		e := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		})
		apply(t, p, limitedTo(1, addr, rhumb.HTTP, e, rhumb.Limit{Body: 100_000}))
		url := "http://" + addr.String() + "/"
		for size, want := range map[int]int{1: 200, 100_000: 200, 100_001: 413, 250_000: 413} {
			body := strings.Repeat("a", size)
			known, _ := query(t, c, "POST", url, strings.NewReader(body))
			chunked, _ := query(t, c, "POST", url, io.MultiReader(strings.NewReader(body)))
			if known.StatusCode != want || chunked.StatusCode != want {
				t.Errorf("HTTP/2 %v: %d bytes: %d, and in chunks %d", two, size, known.StatusCode, chunked.StatusCode)
			}
		}
	}
}

func TestABodyOverItsLimitIsRefusedWithTheLimitsStatus(t *testing.T) {
	for _, two := range []bool{false, true} {
		p, addr, c := start(t, proxy.Options{}), freeAddr(t), clientOf(t, two)
		e := web(t, "a", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		apply(t, p, limitedTo(1, addr, rhumb.HTTP, e, rhumb.Limit{Body: 10_000, Status: 507}))
		body := strings.Repeat("a", 20_000)
		for _, in := range []io.Reader{strings.NewReader(body), io.MultiReader(strings.NewReader(body))} {
			if r, _ := query(t, c, "POST", "http://"+addr.String(), in); r.StatusCode != 507 {
				t.Errorf("HTTP/2 %v, %T: %d", two, in, r.StatusCode)
			}
		}
	}
}

func TestRequestsUnderWayAreLimited(t *testing.T) {
	p, addr, c := start(t, proxy.Options{}), freeAddr(t), clientOf(t, false)
	e := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(io.Discard, conn)
	})
	apply(t, p, limitedTo(1, addr, rhumb.HTTP, e, rhumb.Limit{Connections: 2}))
	first := upgrade(t, addr)
	upgrade(t, addr)
	resp, _ := query(t, c, "GET", "http://"+addr.String(), nil)
	if resp.StatusCode != 429 || resp.Header.Get("RateLimit-Policy") != `"client";q=2;qu="concurrent-requests"` {
		t.Errorf("a third: %d, %v", resp.StatusCode, resp.Header)
	}
	first.Close()
	eventually(t, "there is a place again", func() bool {
		resp, _ := query(t, c, "GET", "http://"+addr.String(), nil)
		return resp.StatusCode == 200
	})
}

// upgrade returns a connection that has been upgraded.
func upgrade(t *testing.T, addr netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, " 101 ") {
		t.Fatalf("%q, %v", line, err)
	}
	return conn
}

func TestTCPConnectionsOfAClientAreLimited(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, limitedTo(1, addr, rhumb.TCP, tcp(t, "a", echo("a")), rhumb.Limit{Connections: 2}))
	first, _, who := dialLine(t, addr)
	_, _, who2 := dialLine(t, addr)
	if who != "a" || who2 != "a" {
		t.Fatal(who, who2)
	}
	refused := func() bool {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		n, _ := c.Read(make([]byte, 1))
		return n == 0
	}
	if !refused() || limitStats(t, p).Refused != 1 {
		t.Errorf("a third connection is served; %+v", limitStats(t, p))
	}
	first.Close()
	eventually(t, "there is a place again", func() bool { return !refused() })
}

func TestALimitThatObservesIsLogged(t *testing.T) {
	out := &syncBuffer{}
	p, addr := start(t, proxy.Options{Log: slog.New(slog.NewTextHandler(out, nil))}), freeAddr(t)
	observing := few
	observing.Observe = true
	apply(t, p, limitedTo(1, addr, rhumb.HTTP, web(t, "a", nil), observing))
	c := clientOf(t, false)
	for i := range 60 {
		resp, _ := query(t, c, "GET", "http://"+addr.String(), nil, "User-Agent", fmt.Sprint("browser ", i))
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	if st := limitStats(t, p); st.Observed != 57 || st.Refused != 0 || st.Shared != "127.0.0.1" {
		t.Errorf("%+v", st)
	}
	eventually(t, "it is logged", func() bool { return strings.Contains(out.String(), "address=127.0.0.1") })
}

// syncBuffer is what a log is written to.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
