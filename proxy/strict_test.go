package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/proxy"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

const askForChange = "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"

// What the client sends next would be a part of the body to one, and of the other protocol to another.
func TestAChangeOfProtocolWithinABodyIsRefused(t *testing.T) {
	if standardHTTP {
		t.Skip("the standard library lets it pass")
	}
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, tcp(t, "a", func(c net.Conn) {
		c.Read(make([]byte, 8<<10))
		io.WriteString(c, switching)
		io.Copy(io.Discard, c)
	})))
	for name, ask := range map[string]string{
		"in chunks":   "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"of a length": "Content-Length: 20000\r\n\r\nabc",
		"asked for":   "Content-Length: 20000\r\nExpect: 100-continue\r\n\r\n",
	} {
		a := say(t, addr, askForChange+ask)
		if !strings.HasPrefix(a, "HTTP/1.1 502 ") || strings.Count(a, "HTTP/1.1 ") != 1 ||
			strings.Contains(a, "left open") {
			t.Errorf("%s: %q", name, a)
		}
	}
}

func TestWhatFollowsTheBodyOfAChangeOfProtocolPasses(t *testing.T) {
	if standardHTTP {
		t.Skip("the standard library drops it")
	}
	const size = 20_000
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, tcp(t, "a", func(c net.Conn) {
		var got []byte
		for buf := make([]byte, 32<<10); bytes.Count(got, []byte("x")) < size; {
			n, err := c.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				return
			}
		}
		io.WriteString(c, switching)
		io.CopyN(c, c, int64(len("early")))
	})))
	body := fmt.Sprintf("Content-Length: %d\r\n\r\n", size) + strings.Repeat("x", size)
	body = strings.ReplaceAll(body, "Host: x", "Host: y")
	ask := strings.ReplaceAll(askForChange, "Host: x", "Host: y") + body
	if a := say(t, addr, ask+"early"); !strings.HasPrefix(a, "HTTP/1.1 101 ") || !strings.HasSuffix(a, "\r\n\r\nearly") {
		t.Errorf("%q", a)
	}
}

// Each trailer that comes is compared with each that was declared.
func TestOnlySomeTrailersCanBeDeclared(t *testing.T) {
	if standardHTTP {
		t.Skip("the standard library keeps them in a map")
	}
	p, addr, r := start(t, proxy.Options{}), freeAddr(t), record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	var names []string
	for i := range 5000 {
		names = append(names, fmt.Sprint("X", i))
	}
	began := time.Now()
	say(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: "+
		strings.Join(names, ",")+"\r\n\r\n0\r\n"+strings.Repeat("X1: y\r\n", 500)+"X4000: z\r\n\r\n")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	eventually(t, "the body ends", func() bool { return strings.HasSuffix(r.String(), "X1: y\r\n\r\n") })
	if got := r.String(); strings.Count(got, "X1: y\r\n") != 500 || strings.Contains(got, "X4000") {
		t.Errorf("the replica got %.300q", got)
	}
}

func TestEndlessPartsOfARequestAreRefused(t *testing.T) {
	if standardHTTP {
		t.Skip("the standard library has limits of its own")
	}
	p, addr, r := start(t, proxy.Options{}), freeAddr(t), record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	const inChunks = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	long, extended := strings.Repeat("x", 80<<10), "1;"+strings.Repeat("x", 1000)+"\r\na\r\n"
	for name, c := range map[string]struct{ ask, want string }{
		"a method":    {long + " / HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
		"a target":    {"GET /" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
		"a version":   {"GET / HTTP/1.1" + long + "\r\nHost: x\r\n\r\n", "431"},
		"a name":      {"GET / HTTP/1.1\r\nHost: x\r\n" + long + ": y\r\n\r\n", "431"},
		"a value":     {"GET / HTTP/1.1\r\nHost: x\r\nX: " + long + "\r\n\r\n", "431"},
		"a host":      {"GET / HTTP/1.1\r\nHost: " + long + "\r\n\r\n", "431"},
		"many fields": {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 1100) + "\r\n", "431"},
		"many names": {"GET / HTTP/1.1\r\nHost: x\r\nConnection: " + strings.Repeat("x,", 100) + "\r\n\r\n",
			"400"},
		"no line end":         {long, "431"},
		"an extension":        {inChunks + "0;" + long + "\r\n\r\n", "400"},
		"many extensions":     {inChunks + strings.Repeat(extended, 80) + "0\r\n\r\n", "400"},
		"a trailer":           {inChunks + "0\r\nX: " + long + "\r\n\r\n", "400"},
		"many trailers":       {inChunks + "0\r\n" + strings.Repeat("X: y\r\n", 1100) + "\r\n", "400"},
		"zeros before a size": {inChunks + strings.Repeat("0", 80<<10) + "\r\n\r\n", "400"},
	} {
		a := say(t, addr, c.ask)
		if !strings.HasPrefix(a, "HTTP/1.1 "+c.want+" ") || strings.Contains(a, "left open") {
			t.Errorf("%s: %.200q", name, a)
		}
	}
}

// Requests that were sent behind the one that is answered last aren't begun: their client repeats them elsewhere.
func TestPipelinedRequestsAreNotBegunByAProxyThatEnds(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var others atomic.Int64
	e := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/1" {
			others.Add(1)
			return
		}
		close(arrived)
		<-release
	})
	p, err := proxy.New(proxy.Options{StandardHTTP: standardHTTP, Limits: proxy.Limits{StopTime: 5 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, e))
	c := front{port: addr.String()}.dial(t)
	answered := make(chan string)
	go func() {
		ask := ""
		for i := range 3 {
			ask += fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i+1)
		}
		answered <- converse(c, ask)
	}()
	<-arrived
	cancel()
	eventually(t, "nothing is accepted any more", func() bool {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	a := <-answered
	if !standardHTTP && (strings.Count(a, "HTTP/1.1 200 ") != 1 || others.Load() != 0) {
		t.Errorf("%d more reached the replica: %q", others.Load(), a)
	}
	if !strings.Contains(a, "Connection: close\r\n") || strings.Contains(a, "left open") {
		t.Errorf("%q", a)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A conversation is used again for other connections. Nothing of one may be seen on another.
func TestShortConnectionsDoNotMix(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		back := fmt.Sprintf("<%s %s %s>", r.URL.Path, r.Header.Get("X-Words"), b)
		w.Header().Set("Content-Length", fmt.Sprint(len(back))) // not in chunks
		io.WriteString(w, back)
	})))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	eachOf(8, func(i int) {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		for n := range 100 {
			words, body := "", strings.Repeat(fmt.Sprint(i), random.IntN(20_000))
			if random.IntN(2) == 0 {
				words = fmt.Sprintf("X-Words: %d-%d\r\n", i, n)
			}
			ask := fmt.Sprintf("POST /%d/%d HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", i, n,
				words, len(body), body)
			value := strings.TrimSuffix(strings.TrimPrefix(words, "X-Words: "), "\r\n")
			want := fmt.Sprintf("<%s %s %s>", fmt.Sprintf("/%d/%d", i, n), value, body)
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Error(err)
				return
			}
			switch random.IntN(4) {
			case 0: // it leaves
				io.WriteString(c, ask[:random.IntN(len(ask))])
				c.Close()
			case 1: // it isn't HTTP
				if a := converse(c, "nonsense\r\n\r\n"); !strings.HasPrefix(a, "HTTP/1.1 400 ") {
					t.Errorf("%.200q", a)
				}
			default:
				if a := converse(c, ask); !strings.Contains(a, want) {
					t.Errorf("%d/%d: %.300q", i, n, a)
				}
			}
		}
	})
}

// eachOf calls do at the same time with each number below n.
func eachOf(n int, do func(int)) {
	done := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			do(i)
		}()
	}
	for range n {
		<-done
	}
}

// What a listener has set holds for its connections, unless they are of raw TCP.
func TestConnectionsBeginWithTheOptionsOfTheirListener(t *testing.T) {
	p, web1, raw := start(t, proxy.Options{}), freeAddr(t), freeAddr(t)
	table := one(1, web1, rhumb.HTTP, 0, web(t, "a", nil))
	apply(t, p, table)
	table.Version = 2
	table.Listeners = append(table.Listeners, rhumb.Listener{Addr: raw, Protocol: rhumb.TCP,
		Backend: table.Backends[0].Name})
	apply(t, p, table)
	for addr, want := range map[string]int{web1.String(): int(proxy.DefaultLimits().ProgressTime.Milliseconds() * 9 / 8),
		raw.String(): 0} {
		c := front{port: addr}.dial(t)
		a := converse(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(a, "HTTP/1.1 200 ") {
			t.Errorf("%q", a)
		}
		// the listener's own options can be seen from here only by its descriptor, which is this process's
		if got := userTimeouts(t, addr); len(got) != 1 || got[0] != want {
			t.Errorf("%s: the listener has %v, want %d", addr, got, want)
		}
	}
}

// userTimeouts returns the option of each socket of this process that listens at an address.
func userTimeouts(t *testing.T, addr string) (found []int) {
	t.Helper()
	for fd := range 4096 {
		if is, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || is == 0 {
			continue
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		port := 0
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			port = sa.Port
		case *unix.SockaddrInet6:
			port = sa.Port
		}
		if strings.HasSuffix(addr, fmt.Sprint(":", port)) {
			ms, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, ms)
		}
	}
	return found
}
