package proxy_test

import (
	"bufio"
	"bytes"
	"io"
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

// recorder is a replica that keeps every byte it gets. It answers each request head that it can make out, and is as
// gullible as possible: what looks like a second request to it looks so to some server.
type recorder struct {
	rhumb.Endpoint
	mu    sync.Mutex
	bytes bytes.Buffer
}

func record(t testing.TB) *recorder {
	t.Helper()
	r := &recorder{}
	r.Endpoint = tcp(t, "recorder", func(c net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := c.Read(buf)
			r.mu.Lock()
			r.bytes.Write(buf[:n])
			r.mu.Unlock()
			if bytes.Contains(buf[:n], []byte("\r\n\r\n")) {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
			if err != nil {
				return
			}
		}
	})
	return r
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.String()
}

// say sends the bytes on a new connection, and returns what comes back until the proxy closes or is silent.
func say(t testing.TB, addr netip.AddrPort, words string) string {
	t.Helper()
	return front{port: addr.String()}.say(t, words)
}

// hidden is the request that an attacker tries to get past the proxy.
const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"

// smuggled are requests whose end is ambiguous, or whose header means different things to different readers.
var smuggled = []struct{ name, head, body string }{
	{"both lengths", "Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + hidden},
	{"both lengths, the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n" + hidden +
		"0\r\n\r\n"},
	{"two lengths", "Content-Length: 0\r\nContent-Length: 34", hidden},
	{"the same length twice", "Content-Length: 0\r\nContent-Length: 0", hidden},
	{"a list of lengths", "Content-Length: 0, 34", hidden},
	{"a length with a sign", "Content-Length: +0", hidden},
	{"a negative length", "Content-Length: -1", hidden},
	{"a length in hexadecimal", "Content-Length: 0x0", hidden},
	{"an empty length", "Content-Length:", hidden},
	{"a length with a space", "Content-Length: 0 0", hidden},
	{"a length beyond 64 bits", "Content-Length: 18446744073709551616", hidden},
	{"a folded line", "X: a\r\n b: c", hidden},
	{"a folded line with a tab", "Transfer-Encoding:\r\n\tchunked", "0\r\n\r\n" + hidden},
	{"a folded first line", " X: a", hidden},
	{"bare line feeds", "X: a\nTransfer-Encoding: chunked", "0\r\n\r\n" + hidden},
	{"a bare carriage return", "X: a\rTransfer-Encoding: chunked", "0\r\n\r\n" + hidden},
	{"a carriage return before the end", "X: a\r\r\nY: b", hidden},
	{"a null", "X: a\x00b", hidden},
	{"a name with a null", "X\x00: a", hidden},
	{"a line without a colon", "X", hidden},
	{"an empty name", ": chunked", hidden},
	{"a space before the colon", "Transfer-Encoding : chunked", "0\r\n\r\n" + hidden},
	{"a tab before the colon", "Transfer-Encoding\t: chunked", "0\r\n\r\n" + hidden},
	{"a space before the length's colon", "Content-Length : 0", hidden},
	{"an underscore", "Transfer_Encoding: chunked", "0\r\n\r\n" + hidden},
	{"an underscore in the length", "Content_Length: 0", hidden},
	{"an underscore in the host", "X_Y: 1\r\nCONTENT_LENGTH: 7", hidden},
	{"a tab before chunked", "Transfer-Encoding:\tchunked", "0\r\n\r\n" + hidden},
	{"a vertical tab before chunked", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n" + hidden},
	{"quoted", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n" + hidden},
	{"chunked, and something else", "Transfer-Encoding: chunked, identity", "0\r\n\r\n" + hidden},
	{"something else, and chunked", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n" + hidden},
	{"an empty list member", "Transfer-Encoding: ,chunked", "0\r\n\r\n" + hidden},
	{"chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + hidden},
	{"an unknown encoding", "Transfer-Encoding: xchunked", "0\r\n\r\n" + hidden},
	{"no encoding", "Transfer-Encoding: identity", hidden},
	{"an empty encoding", "Transfer-Encoding:", hidden},
	{"two hosts", "Host: y", hidden},
	{"a chunk size that isn't one", "Transfer-Encoding: chunked", "zz\r\n\r\n" + hidden},
	{"a chunk size with 0x", "Transfer-Encoding: chunked", "0x0\r\n\r\n" + hidden},
	{"a chunk size with a sign", "Transfer-Encoding: chunked", "-0\r\n\r\n" + hidden},
	{"a chunk size with a space before it", "Transfer-Encoding: chunked", " 0\r\n\r\n" + hidden},
	{"no chunk size", "Transfer-Encoding: chunked", "\r\n\r\n" + hidden},
	{"a chunk size beyond 64 bits", "Transfer-Encoding: chunked", "10000000000000000\r\n" + hidden},
	{"a chunk size that ends with a line feed", "Transfer-Encoding: chunked", "0\n\r\n" + hidden},
	{"a chunk extension with a line feed", "Transfer-Encoding: chunked", "1;a\nb\r\nx\r\n0\r\n\r\n" + hidden},
	{"a chunk longer than it says", "Transfer-Encoding: chunked", "1\r\nxyz\r\n0\r\n\r\n" + hidden},
	{"a chunk that ends with a line feed", "Transfer-Encoding: chunked", "1\r\nx\n0\r\n\r\n" + hidden},
	{"a folded trailer", "Transfer-Encoding: chunked\r\nTrailer: X", "0\r\nX: a\r\n b\r\n\r\n" + hidden},
	{"a trailer with a length", "Transfer-Encoding: chunked\r\nTrailer: X", "0\r\nContent-Length: 34\r\n\r\n" + hidden},
}

func TestARequestWithTwoReadingsIsRefused(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	for i, c := range smuggled {
		r := record(t)
		apply(t, p, one(uint64(i+1), addr, rhumb.HTTP, 0, r.Endpoint))
		answer := say(t, addr, "POST /outer HTTP/1.1\r\nHost: x\r\n"+c.head+"\r\n\r\n"+c.body)
		refused(t, c.name, answer, r)
		if !strings.Contains(c.head, "Transfer-Encoding: chunked") && r.String() != "" {
			t.Errorf("%s: the replica got %q", c.name, r)
		}
	}
}

// refused checks that there was one answer, 400, and that the replica could see no second request.
func refused(t *testing.T, name, answer string, r *recorder) {
	t.Helper()
	answer = strings.ReplaceAll(answer, "HTTP/1.0", "HTTP/1.1")
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || strings.Count(answer, "HTTP/1.1 ") != 1 ||
		strings.Contains(answer, "left open") {
		t.Errorf("%s: answered %.200q", name, answer)
	}
	if got := r.String(); strings.Contains(got, "hidden") || strings.Count(got, " HTTP/1.1\r\n") > 1 {
		t.Errorf("%s: the replica got %q", name, got)
	}
}

func TestRequestLinesWithTwoReadingsAreRefused(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	r := record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	for _, line := range []string{"GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / HTTP/1.1 HTTP/1.1", "GET /\tHTTP/1.1",
		"GET /\x00 HTTP/1.1",
		"GET / HTTP/1.1\rX: a", "GET / HTTP/1.1\nX: a", "G\"T / HTTP/1.1", "GET / HTTP/1.2",
		"GET / HTTP/9.1", "GET / http/1.1", "GET /", "", " GET / HTTP/1.1",
		"PRI * HTTP/1.1 \r\n"} {
		refused(t, line, say(t, addr, line+"\r\nHost: x\r\n\r\n"+hidden), r)
	}
	refused(t, "chunked in HTTP/1.0",
		say(t, addr, "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+hidden), r)
	if r.String() != "" {
		t.Errorf("the replica got %q", r)
	}
}

// The same, split at every byte and after a good request.
func TestSmugglingIsRefusedHoweverItArrives(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	good := "POST /good HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\n\r\n"
	bad := "POST /bad HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if r.URL.Path != "/good" || string(b) != "abc" || err != nil {
			t.Errorf("the replica got %s with %q, %v", r.URL.Path, b, err)
		}
	})))
	var wg sync.WaitGroup
	var answered, all atomic.Int64
	for cut := 1; cut < len(good)+len(bad); cut += 3 {
		all.Add(1)
		wg.Go(func() {
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(c, (good + bad)[:cut])
			eventually(t, "the first piece is read", func() bool { return unread(t, c) == 0 })
			io.WriteString(c, (good + bad)[cut:])
			answers := bufio.NewReader(c)
			for _, want := range []int{200, 400} {
				resp, err := http.ReadResponse(answers, nil)
				if err != nil || resp.StatusCode != want {
					t.Errorf("cut at %d: want %d, got %v, %v", cut, want, resp, err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				if resp.Close && want == 200 {
					// the replica answered before the proxy had read the body's end: what follows is not read at all
					return
				}
			}
			answered.Add(1)
		})
	}
	wg.Wait()
	if answered.Load() < all.Load()/2 {
		t.Errorf("%d of %d were answered", answered.Load(), all.Load())
	}
}

// After a refused upgrade the connection is still HTTP, with all its rules.
func TestARefusedUpgradeOpensNoWayIn(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	r := record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	ask := "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	bad := "POST /bad HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
	if a := say(t, addr, ask+bad); strings.Count(a, "HTTP/1.1 ") != 1 {
		t.Errorf("at once: %q", a)
	}
	if a := say(t, addr, ask); !strings.HasPrefix(a, "HTTP/1.1 200 ") ||
		!strings.Contains(a, "Connection: close\r\n") || strings.Contains(a, "left open") {
		t.Errorf("alone: %q", a)
	}
	nowhere := one(2, addr, rhumb.HTTP, 0, r.Endpoint)
	nowhere.Listeners[0].Backend, nowhere.Rules = "", []rhumb.Rule{{Host: "y", Backend: nowhere.Backends[0].Name}}
	apply(t, p, nowhere)
	bad = strings.ReplaceAll(bad, "Host: x", "Host: y")
	if a := say(t, addr, ask+bad); !strings.HasPrefix(a, "HTTP/1.1 404 ") || strings.Count(a, "HTTP/1.1 ") != 1 ||
		strings.Contains(a, "left open") {
		t.Errorf("at once, where the proxy itself answers: %q", a)
	}
	if got := r.String(); strings.Contains(got, "hidden") || strings.Contains(got, "/bad") {
		t.Errorf("the replica got %q", got)
	}
}

// Only a connection's first bytes make it one of HTTP/2, which the guard doesn't read.
func TestAConnectionCannotChangeToHTTP2AfterARequest(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	r := record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	a := say(t, addr, "GET /good HTTP/1.1\r\nHost: x\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+hidden)
	if !strings.HasPrefix(a, "HTTP/1.1 200 ") || strings.Count(a, "HTTP/1.1 ") != 2 ||
		!strings.Contains(a, "HTTP/1.1 400 ") || strings.Contains(a, "left open") {
		t.Errorf("answered %q", a)
	}
	if got := r.String(); strings.Contains(got, "hidden") || strings.Contains(got, "PRI") {
		t.Errorf("the replica got %q", got)
	}
}

// After such an upgrade, requests would reach the replica as the client wrote them.
func TestUpgradesToHTTPAreNotPassedOn(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if to := r.Header.Get("Upgrade"); to != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", to)
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})))
	for to, want := range map[string]string{"h2c": "200", "H2C": "200", "websocket, h2c": "200", "HTTP/2.0": "200",
		"TLS/1.0, HTTP/1.1": "200", "websocket": "101"} {
		a := say(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "+to+"\r\n"+
			"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if !strings.HasPrefix(a, "HTTP/1.1 "+want+" ") {
			t.Errorf("%s: %q", to, a)
		}
	}
}
