package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// counted returns what is counted of a release once want holds.
func counted(t *testing.T, p rhumb.Router, release int, want func(rhumb.ReleaseStats) bool) rhumb.ReleaseStats {
	t.Helper()
	var got rhumb.ReleaseStats
	eventually(t, "the counts are right", func() bool {
		st, err := p.Status(context.Background())
		got = st.Backends["shop/web:80"].Releases[release]
		return err == nil && want(got)
	})
	return got
}

// wantCounts fails unless these are the counts of a release in the end. It doesn't compare times.
func wantCounts(t *testing.T, p rhumb.Router, release int, want rhumb.ReleaseStats) {
	t.Helper()
	var got rhumb.ReleaseStats
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: counts are %+v, want %+v", t.Name(), got, want)
		}
	})
	counted(t, p, release, func(s rhumb.ReleaseStats) bool {
		got = s
		return s.Served == want.Served && s.Failed == want.Failed && s.Errors == want.Errors &&
			s.Received == want.Received && s.Sent == want.Sent
	})
}

func answers(s rhumb.ReleaseStats) (n uint64) {
	for _, b := range s.Buckets {
		n += b
	}
	return n
}

// speakers are clients of HTTP/1 and HTTP/2.
func speakers(t *testing.T) map[string]*http.Client {
	one, two := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	two.SetUnencryptedHTTP2(true)
	clients := map[string]*http.Client{}
	for name, p := range map[string]*http.Protocols{"HTTP1": one, "HTTP2": two} {
		tr := &http.Transport{Protocols: p}
		t.Cleanup(tr.CloseIdleConnections)
		clients[name] = &http.Client{Transport: tr}
	}
	return clients
}

// send sends a body of this size, and reads the answer.
func send(c *http.Client, url string, size int) {
	r, err := c.Post(url, "text/plain", bytes.NewReader(make([]byte, size)))
	if err != nil {
		return // which the counts prove
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
}

func TestEachOutcomeOfARequestCountsOnce(t *testing.T) {
	good := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, 1000))
	}
	broken := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write(make([]byte, 10))
	}
	cutting := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	const n, small, large = 10, 5000, 100_000
	for _, c := range []struct {
		name  string
		body  int
		hold  time.Duration
		h     http.HandlerFunc // nil: nothing listens
		spare bool             // another replica of the release answers
		want  rhumb.ReleaseStats
	}{
		{name: "Answered", h: good, want: rhumb.ReleaseStats{Served: n, Sent: n * 1000}},
		{name: "SmallBody", body: small, h: good, want: rhumb.ReleaseStats{Served: n, Received: n * small, Sent: n * 1000}},
		{name: "LargeBody", body: large, h: good, want: rhumb.ReleaseStats{Served: n, Received: n * large, Sent: n * 1000}},
		{name: "ServerError", body: small, h: broken,
			want: rhumb.ReleaseStats{Served: n, Errors: n, Received: n * small, Sent: n * 10}},
		{name: "CutBeforeItsAnswer", h: cutting, want: rhumb.ReleaseStats{Failed: n, Errors: n}},
		{name: "NothingListens", want: rhumb.ReleaseStats{Failed: n, Errors: n}},
		{name: "NothingListensWhileHeld", hold: 150 * time.Millisecond, want: rhumb.ReleaseStats{Failed: n, Errors: n}},
		{name: "AnotherReplicaAnswers", body: small, h: good, spare: true,
			want: rhumb.ReleaseStats{Served: n, Received: n * small, Sent: n * 1000}},
	} {
		for name, client := range speakers(t) {
			t.Run(c.name+name, func(t *testing.T) {
				p, addr := start(t, proxy.Options{}), freeAddr(t)
				es := []rhumb.Endpoint{endpoint("none", freeAddr(t).String())}
				switch {
				case c.spare:
					es = append(es, web(t, "a", c.h))
				case c.h != nil:
					es = []rhumb.Endpoint{web(t, "a", c.h)}
				}
				apply(t, p, one(1, addr, rhumb.HTTP, c.hold, es...))
				for range n {
					send(client, "http://"+addr.String(), c.body)
				}
				wantCounts(t, p, 1, c.want)
				if s := status(t, p).Backends["shop/web:80"].Releases[1]; answers(s) != c.want.Served {
					t.Errorf("%d answers are in the buckets %v", answers(s), s.Buckets)
				}
			})
		}
	}
}

func TestARequestWithoutAnyEndpointIsOfNoRelease(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, draining(web(t, "a", nil))))
	get(t, "http://"+addr.String())
	if b := status(t, p).Backends["shop/web:80"]; b.Unserved != 1 || b.Releases[1].Served+b.Releases[1].Failed != 0 {
		t.Errorf("the counts are %+v", b)
	}
}

func TestAClientThatLeavesCountsForTheTimeThatItWaited(t *testing.T) {
	for name, client := range speakers(t) {
		t.Run(name, func(t *testing.T) {
			// the end of a client's side is held back for half of this time
			o := proxy.Options{Limits: proxy.Limits{ProgressTime: 400 * time.Millisecond}}
			p, addr, asked := start(t, o), freeAddr(t), make(chan struct{}, 1)
			apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(_ http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				<-r.Context().Done()
			})))
			const n = 5
			for range n {
				ctx, leave := context.WithCancel(t.Context())
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String(), nil)
				go func() {
					<-asked
					leave()
				}()
				if resp, err := client.Do(r); err == nil {
					_ = resp.Body.Close()
					t.Error("the client stayed")
				}
			}
			wantCounts(t, p, 1, rhumb.ReleaseStats{Served: n})
			if s := status(t, p).Backends["shop/web:80"].Releases[1]; answers(s) != n || s.Latency <= 0 {
				t.Errorf("the counts are %+v", s)
			}
		})
	}
}

func TestALongUploadIsCountedWhileItComes(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})))
	body, client := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if r, err := http.Post("http://"+addr.String(), "text/plain", body); err == nil {
			_ = r.Body.Close()
		}
	}()
	fmt.Fprint(client, "hello")
	counted(t, p, 1, func(s rhumb.ReleaseStats) bool { return s.Received == 5 && s.Served == 0 })
	fmt.Fprint(client, "world")
	_ = client.Close()
	<-done
	wantCounts(t, p, 1, rhumb.ReleaseStats{Served: 1, Received: 10})
}

func TestAnUpgradedConnectionCountsItsBytes(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, rw)
	})))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n%s", "early")
	fmt.Fprint(c, strings.Repeat("x", 1000))
	b := make([]byte, 4000)
	for n := 0; !bytes.HasSuffix(b[:n], []byte(strings.Repeat("x", 1000))); {
		m, err := c.Read(b[n:])
		if n += m; err != nil {
			t.Fatalf("%q: %v", b[:n], err)
		}
	}
	wantCounts(t, p, 1, rhumb.ReleaseStats{Served: 1, Received: 1005, Sent: 1005})
}

func TestEachConnectionOfTCPCountsOnceWithItsBytes(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	e := tcp(t, "a", func(c net.Conn) {
		n, _ := io.Copy(io.Discard, c)
		fmt.Fprintf(c, "%04d", n)
	})
	none := endpoint("none", freeAddr(t).String())
	apply(t, p, one(1, addr, rhumb.TCP, 0, none, e))
	const n, size = 10, 300_000
	for range n {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(make([]byte, size))
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	wantCounts(t, p, 1, rhumb.ReleaseStats{Served: n, Received: n * size, Sent: n * 6})
	if s := status(t, p).Backends["shop/web:80"].Releases[1]; s.Buckets != nil || s.Latency <= 0 {
		t.Errorf("connections are counted as answers: %+v", s)
	}
	apply(t, p, one(2, addr, rhumb.TCP, 0, none))
	for range n {
		_ = line(addr.String())
	}
	wantCounts(t, p, 1, rhumb.ReleaseStats{Served: n, Failed: n, Errors: n, Received: n * size, Sent: n * 6})
}

func TestEachSessionOfUDPCountsOnceWithItsBytes(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with its socket
		b := make([]byte, 100)
		for {
			n, from, err := l.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = l.WriteTo(append(b[:n:n], '!'), from)
		}
	}()
	table := one(1, addr, rhumb.UDP, 0, endpoint("a", l.LocalAddr().String()))
	apply(t, p, table)
	const n, turns = 5, 3
	for range n {
		c, err := net.Dial("udp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		for range turns {
			fmt.Fprint(c, "hello")
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Close()
	}
	wantCounts(t, p, 1, rhumb.ReleaseStats{Served: n, Received: n * turns * 5, Sent: n * turns * 6})
	apply(t, p, one(2, addr, rhumb.UDP, 0, endpoint("none", freeAddr(t).String())))
	c, err := net.Dial("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	wantCounts(t, p, 1, rhumb.ReleaseStats{Served: n, Failed: 1, Errors: 1, Received: (n*turns + 1) * 5,
		Sent: n * turns * 6})
}
