package proxy_test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rhumb"
	"rhumb/proxy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// deadAddr is an address at which no process listens.
func deadEndpoint(t testing.TB, name string) rhumb.Endpoint {
	return endpoint(name, freeAddr(t).String())
}

func TestAFailedConnectIsRetriedElsewhereEvenForPOST(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	a := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "a got %s", b)
	})
	apply(t, p, one(1, addr, rhumb.HTTP, 0, deadEndpoint(t, "dead1"), a, deadEndpoint(t, "dead2")))
	for range 10 {
		r, err := http.Post("http://"+addr.String(), "text/plain", strings.NewReader("words"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || string(b) != "a got words" {
			t.Fatalf("%d %q", r.StatusCode, b)
		}
	}
	if n := open(t, p, "dead1"); n != 0 {
		t.Fatalf("a failed connect is still counted: %d", n)
	}
}

func TestAFailedTCPConnectIsRetriedElsewhere(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, deadEndpoint(t, "dead"), tcp(t, "a", echo("a"))))
	for range 6 {
		if _, _, who := dialLine(t, addr); who != "a" {
			t.Fatal(who)
		}
	}
}

func TestWhileAllReplicasRefuseRequestsAreHeld(t *testing.T) {
	p := start(t, proxy.Options{})
	addr, at := freeAddr(t), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 10*time.Second, endpoint("a", at.String())))
	go func() {
		eventually(t, "the request waits", func() bool { return waiting(t, p) == 1 })
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Error(err)
			return
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			fmt.Fprint(w, "back")
		})}
		t.Cleanup(func() { s.Close() })
		s.Serve(l)
	}()
	if code, body := get(t, "http://"+addr.String()); code != 200 || body != "back" {
		t.Fatalf("%d %q", code, body)
	}
}

func TestASentRequestIsNotRepeatedAfterAFailure(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	var mu sync.Mutex
	seen := 0
	cut := tcp(t, "cut", func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		mu.Lock()
		seen++
		mu.Unlock()
	})
	apply(t, p, one(1, addr, rhumb.HTTP, time.Second, cut))
	r, err := http.Post("http://"+addr.String(), "text/plain", strings.NewReader("once"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	mu.Lock()
	defer mu.Unlock()
	if r.StatusCode != 502 || seen != 1 {
		t.Fatalf("status %d, sent %d times", r.StatusCode, seen)
	}
}

func TestAWebSocketOutlivesTheTable(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	a := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			c.Write(r.Context(), kind, append([]byte("a: "), b...))
		}
	})
	apply(t, p, one(1, addr, rhumb.HTTP, 0, a))
	c, _, err := websocket.Dial(t.Context(), "ws://"+addr.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	apply(t, p, one(2, addr, rhumb.HTTP, 0, draining(a), web(t, "b", nil)))
	apply(t, p, one(3, addr, rhumb.HTTP, 0, web(t, "c", nil)))
	for range 3 {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		if _, b, err := c.Read(t.Context()); err != nil || string(b) != "a: hi" {
			t.Fatalf("%q, %v", b, err)
		}
	}
	if n := open(t, p, "a"); n != 1 {
		t.Fatalf("the WebSocket counts as %d", n)
	}
	c.Close(websocket.StatusNormalClosure, "")
	eventually(t, "nothing is open at the replica", func() bool { return open(t, p, "a") == 0 })
}

func TestTheProxySaysWhoTheClientIs(t *testing.T) {
	type headers map[string]string
	sent := http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil"},
		"X-Real-Ip": {"6.6.6.6"}, "X_forwarded_for": {"7.7.7.7"}, "Forwarded": {"for=6.6.6.6"},
		"X-Forwarded-Prefix": {"/x"}, "X-Other": {"kept"}}
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		want    headers
	}{
		{"a stranger", nil, headers{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http",
			"X-Forwarded-Host": "shop.test", "X-Real-Ip": "127.0.0.1", "X_forwarded_for": "", "Forwarded": "",
			"X-Forwarded-Prefix": "", "X-Other": "kept"}},
		{"a trusted proxy", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			headers{"X-Forwarded-For": "6.6.6.6, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil",
				"X-Real-Ip": "6.6.6.6", "X_forwarded_for": "", "Forwarded": "", "X-Forwarded-Prefix": "/x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, proxy.Options{TrustedProxies: c.trusted})
			addr := freeAddr(t)
			var got *http.Request
			apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a",
				func(w http.ResponseWriter, r *http.Request) { got = r })))
			req, _ := http.NewRequest("GET", "http://"+addr.String()+"/a%2Fb?x=1;y&%zz", nil)
			req.Host = "shop.test"
			req.Header = sent.Clone()
			req.Header.Set("Connection", "X-Hop")
			req.Header.Set("X-Hop", "1")
			r, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			for k, v := range c.want {
				if g := strings.Join(got.Header[k], "|"); g != v {
					t.Errorf("%s: %q, not %q", k, g, v)
				}
			}
			if got.Host != "shop.test" || got.RequestURI != "/a%2Fb?x=1;y&%zz" || got.Header.Get("X-Hop") != "" {
				t.Errorf("host %q, uri %q, hop %q", got.Host, got.RequestURI, got.Header.Get("X-Hop"))
			}
		})
	}
}

func TestHTTP2WithoutTLSIsServed(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", nil)))
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	r, err := (&http.Client{Transport: tr}).Post("http://"+addr.String(), "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, _ := io.ReadAll(r.Body); r.ProtoMajor != 2 || string(b) != "a" {
		t.Fatalf("%s %q", r.Proto, b)
	}
}

func TestThePagesExplainWhatIsGoingOn(t *testing.T) {
	p := start(t, proxy.Options{})
	ruled, held, failing := freeAddr(t), freeAddr(t), freeAddr(t)
	apply(t, p, rhumb.Table{Version: 1,
		Listeners: []rhumb.Listener{{Addr: ruled, Protocol: rhumb.HTTP},
			{Addr: held, Protocol: rhumb.HTTP, Backend: "none"}, {Addr: failing, Protocol: rhumb.HTTP,
				Backend: "dead"}},
		Backends: []rhumb.Backend{{Name: "none", Stack: "shop"},
			{Name: "dead", Stack: "shop", Endpoints: []rhumb.Endpoint{deadEndpoint(t, "d")}}},
	})
	for _, c := range []struct {
		name   string
		addr   netip.AddrPort
		status int
	}{{"404", ruled, 404}, {"503", held, 503}, {"502", failing, 502}} {
		for kind, accept := range map[string]string{"html": "text/html,*/*;q=0.8", "json": "application/json",
			"txt": "*/*"} {
			req, _ := http.NewRequest("GET", "http://"+c.addr.String()+"/<x>", nil)
			req.Host = "Shop.test:80"
			req.Header.Set("Accept", accept)
			r, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if r.StatusCode != c.status || (c.status == 503) != (r.Header.Get("Retry-After") != "") {
				t.Errorf("%s: status %d, %v", c.name, r.StatusCode, r.Header)
			}
			golden(t, c.name+"."+kind, b)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "pages", name)
	if *update {
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, got, 0o644)
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != string(got) {
		t.Errorf("%s (%v):\n%s\nnot\n%s", name, err, got, want)
	}
}

func TestSwapsUnderLoadFailNothing(t *testing.T) {
	p := start(t, proxy.Options{})
	addr, tcpAddr := freeAddr(t), freeAddr(t)
	var es [4]rhumb.Endpoint
	for i := range es {
		es[i] = web(t, fmt.Sprint("r", i), nil)
	}
	te := []rhumb.Endpoint{tcp(t, "t0", echo("t0")), tcp(t, "t1", echo("t1"))}
	table := func(v uint64) rhumb.Table {
		i := int(v)
		return rhumb.Table{Version: v,
			Listeners: []rhumb.Listener{{Addr: addr, Protocol: rhumb.HTTP, Backend: "w"},
				{Addr: tcpAddr, Protocol: rhumb.TCP, Backend: "t"}},
			Backends: []rhumb.Backend{
				{Name: "w", Hold: 10 * time.Second, Endpoints: []rhumb.Endpoint{es[i%4], draining(es[(i+1)%4])}},
				{Name: "t", Hold: 10 * time.Second, Endpoints: []rhumb.Endpoint{te[i%2]}}}}
	}
	apply(t, p, table(1))
	l := startLoad("http://"+addr.String(), tcpAddr.String(), 8)
	v, enough := uint64(1), int64(10_000)
	if testing.Short() {
		enough = 2_000
	}
	for l.requests.Load() < enough && l.failed.Load() == 0 {
		v++
		tb := table(v)
		if v%10 == 0 {
			tb.Backends[0].Endpoints = nil // a stop-first gap: held
			tb.Backends[1].Endpoints = nil
		}
		apply(t, p, tb)
		served := l.requests.Load()
		eventually(t, "requests are served or held", func() bool {
			return l.requests.Load() > served || l.failed.Load() > 0 || waiting(t, p) > 0
		})
	}
	apply(t, p, table(v+1))
	l.end(t)
	t.Logf("%d tables", v)
	eventually(t, "nothing is open", func() bool {
		st, err := p.Status(t.Context())
		return err == nil && len(st.Open) == 0
	})
}

// A replica is stopped as soon as it drains and nothing is open. No request may be on its way to it then.
func TestADrainedReplicaCanBeStoppedAtOnce(t *testing.T) {
	// A busy machine may take longer than the default to connect, which is no request lost to a stopped replica.
	p := start(t, proxy.Options{Limits: proxy.Limits{DialTime: 20 * time.Second}})
	addr := freeAddr(t)
	type replica struct {
		rhumb.Endpoint
		stop func()
	}
	begin := func(name string) replica {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			io.Copy(w, r.Body)
		})}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		return replica{endpoint(name, l.Addr().String()), func() { s.Close() }} // not gracefully
	}
	now := begin("r0")
	apply(t, p, one(1, addr, rhumb.HTTP, 0, now.Endpoint))
	l := startLoad("http://"+addr.String(), "", 6)
	for i := range 40 {
		next := begin(fmt.Sprint("r", i+1))
		apply(t, p, one(uint64(i*3+2), addr, rhumb.HTTP, 0, now.Endpoint, next.Endpoint))
		seen := l.requests.Load()
		eventually(t, "requests run", func() bool { return l.requests.Load() > seen+30 })
		apply(t, p, one(uint64(i*3+3), addr, rhumb.HTTP, 0, draining(now.Endpoint), next.Endpoint))
		eventually(t, "drained", func() bool { return open(t, p, now.Replica) == 0 })
		apply(t, p, one(uint64(i*3+4), addr, rhumb.HTTP, 0, next.Endpoint))
		now.stop()
		now = next
	}
	l.end(t)
}
