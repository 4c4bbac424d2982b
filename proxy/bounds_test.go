package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"rhumb"
	"rhumb/proxy"
)

// pipes counts the process's descriptors of pipes.
func pipes(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

func TestATCPConnectionTakesNoPipes(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, tcp(t, "e", func(c net.Conn) {
		fmt.Fprintln(c, "e")
		io.Copy(c, struct{ io.Reader }{c}) // which itself takes no pipes
	})))
	before := pipes(t)
	for range 10 {
		c, r, _ := dialLine(t, addr)
		fmt.Fprintln(c, "hello") // bytes have gone both ways
		if line, err := r.ReadString('\n'); line != "hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if now := pipes(t); now > before {
		t.Errorf("%d more descriptors of pipes", now-before)
	}
}

func TestConnectionsToEndpointsAreLimited(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{EndpointConns: 2}})
	addr := freeAddr(t)
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-answer
	})))
	for range 2 {
		go http.Get("http://" + addr.String())
		<-asked
	}
	r, err := http.Get("http://" + addr.String())
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("over the limit: %d, %v", r.StatusCode, r.Header)
	}
	close(answer)
	eventually(t, "the requests end", func() bool { return open(t, p, "a") == 0 })
	if s := status(t, p).Backends["shop/web:80"].Releases[1]; s.Errors != 0 {
		t.Errorf("%d errors are counted for the replica", s.Errors)
	}
}

func status(t *testing.T, r rhumb.Router) rhumb.RouterStatus {
	t.Helper()
	st, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestIdleConnectionsToEndpointsMakeRoom(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{EndpointConns: 1}})
	a, b := freeAddr(t), freeAddr(t)
	table := one(1, a, rhumb.HTTP, 0, web(t, "a", nil))
	other := one(1, b, rhumb.TCP, 0, tcp(t, "b", echo("b")))
	other.Backends[0].Name, other.Listeners[0].Backend = "other", "other"
	table.Listeners = append(table.Listeners, other.Listeners...)
	table.Backends = append(table.Backends, other.Backends...)
	apply(t, p, table)
	if _, body := get(t, "http://"+a.String()); body != "a" {
		t.Fatal(body)
	}
	began := time.Now()
	if _, _, who := dialLine(t, b); who != "b" || time.Since(began) > time.Second { // idle ones are kept for 4 s
		t.Fatal(who, time.Since(began))
	}
}

func TestTheSharesOfDescriptorsLeaveAReserve(t *testing.T) {
	l := proxy.DefaultLimits()
	if l.EndpointConns < l.TotalConns {
		t.Errorf("%d connections of clients, and %d to endpoints", l.TotalConns, l.EndpointConns)
	}
	all := l.TotalConns + l.EndpointConns + l.TotalSessions
	if reserve := all / 19; reserve < 1 || l.Conns > l.TotalConns/2 || l.Sessions > l.TotalSessions/2 {
		t.Errorf("%d in all: %+v", all, l)
	}
}

// streamsOf asks n times at once on one connection of HTTP/2, and returns the answers as they come.
func streamsOf(t *testing.T, addr netip.AddrPort, n int) <-chan *http.Response {
	t.Helper()
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr, Timeout: 10 * time.Second}
	first, err := c.Get("http://" + addr.String() + "/quick")
	if err != nil {
		t.Fatal(err)
	}
	first.Body.Close()
	answers := make(chan *http.Response, n)
	for range n {
		go func() {
			r, err := c.Get("http://" + addr.String())
			if err != nil {
				t.Error(err)
				r = &http.Response{Body: http.NoBody}
			}
			r.Body.Close()
			answers <- r
		}()
	}
	return answers
}

func TestStreamsOverTheLimitWaitOrAreRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		limits  proxy.Limits
		trusted []netip.Prefix
		refused int // of 10
	}{
		{"by default none is", proxy.Limits{}, nil, 0},
		{"those of one client wait", proxy.Limits{ClientStreams: 5}, nil, 0},
		{"and not too many of them", proxy.Limits{ClientStreams: 2}, nil, 10 - 1 - 2 - 2},
		{"those of a backend are refused", proxy.Limits{BackendStreams: 3}, nil, 10 - 1 - 3},
		{"those of all are refused", proxy.Limits{Streams: 3}, nil, 10 - 1 - 3},
		{"a trusted peer's aren't counted by client", proxy.Limits{ClientStreams: 2},
			[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, proxy.Options{Limits: c.limits, TrustedProxies: c.trusted})
			addr := freeAddr(t)
			answer := make(chan struct{})
			apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/quick" {
					<-answer
				}
			})))
			answers := streamsOf(t, addr, 10)
			for range c.refused {
				if r := <-answers; r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || r.ContentLength != 0 {
					t.Errorf("over the limit: %d %v, %d bytes", r.StatusCode, r.Header, r.ContentLength)
				}
			}
			close(answer)
			for range 10 - c.refused {
				if r := <-answers; r.StatusCode != 200 {
					t.Errorf("%d", r.StatusCode)
				}
			}
		})
	}
}

func TestAHundredDownloadsOnOneConnectionAreFine(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Write(page[:256<<10])
	})))
	answers := streamsOf(t, addr, 100)
	for range 100 {
		if r := <-answers; r.StatusCode != 200 {
			t.Errorf("%d", r.StatusCode)
		}
	}
}

func TestManyConnectionsOfOneClientGetFewerStreamsEach(t *testing.T) {
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, trusted := range map[string][]netip.Prefix{"a client": nil, "a trusted peer": local} {
		t.Run(name, func(t *testing.T) {
			p, addr := start(t, proxy.Options{TrustedProxies: trusted}), freeAddr(t)
			apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", nil)))
			var streams []uint32
			for range 20 {
				f, _ := prior(t, addr)
				first, err := f.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				n, _ := first.(*http2.SettingsFrame).Value(http2.SettingMaxConcurrentStreams)
				streams = append(streams, n)
			}
			want := uint32(16)
			if trusted != nil {
				want = 100
			}
			if streams[0] != 100 || streams[19] != want {
				t.Errorf("%d", streams)
			}
		})
	}
}

func TestStalledClientsAreCutSoonerWhenThereAreMany(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	// a stalled client is cut after a twentieth of this if there are many
	p := start(t, proxy.Options{Limits: proxy.Limits{ProgressTime: 40 * time.Second}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", bigPage)))
	var conns []*net.TCPConn
	const begins = "HTTP/1.1 200" // on a busy machine, a replica may not accept a connection in time
	for tries := 0; len(conns) < 150 && tries < 300; tries++ {
		c, head := dialSmall(t, addr), make([]byte, len(begins))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := io.ReadFull(c, head); err == nil && string(head) == begins {
			conns = append(conns, c)
		}
	}
	n := 0
	for end := time.Now().Add(34 * time.Second); n < 22 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		n = 0
		for _, c := range conns {
			if cut(c) {
				n++
			}
		}
	}
	if n != 22 {
		t.Errorf("%d of 150 were cut, want all but 128", n)
	}
}

func TestTheStillestTCPConnectionMakesRoom(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{Conns: 3, StillTime: 300 * time.Millisecond}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, tcp(t, "e", echo("e"))))
	still, _, _ := dialLine(t, addr)
	speaks, r, _ := dialLine(t, addr)
	if _, _, who := dialLine(t, addr); who != "e" { // which takes the last place
		t.Fatal(who)
	}
	closed := make(chan error)
	go func() {
		_, err := still.Read(make([]byte, 1))
		closed <- err
	}()
	for {
		fmt.Fprintln(speaks, "hello")
		if line, err := r.ReadString('\n'); line != "hello\n" {
			t.Fatalf("the connection that speaks: %q, %v", line, err)
		}
		select {
		case err := <-closed:
			if !errors.Is(err, io.EOF) {
				t.Errorf("the still connection: %v", err)
			}
			return
		default:
		}
	}
}

// If a place weren't given back, the fourth round would find none.
func TestPlacesForEndpointConnectionsAreGivenBack(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{EndpointConns: 3}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", echoWebSocket)))
	post, version := freeAddr(t), uint64(1)
	replica := web(t, "b", nil)
	for range 4 {
		if err := webSocket(t.Context(), "ws://"+addr.String()); err != nil {
			t.Fatal(err)
		}
		version++
		apply(t, p, one(version, post, rhumb.HTTP, 0, replica, deadEndpoint(t, "dead")))
		for range 2 {
			if err := request(http.DefaultClient, "http://"+post.String(), true); err != nil {
				t.Fatal(err)
			}
		}
		version++
		apply(t, p, one(version, addr, rhumb.HTTP, 0, web(t, "a", echoWebSocket)))
	}
}
