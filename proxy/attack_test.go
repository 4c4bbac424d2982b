package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/proxy"
)

func TestTheDefaultsCutIdleRequestsWithin15Seconds(t *testing.T) {
	l := proxy.DefaultLimits()
	for name, d := range map[string]time.Duration{"header": l.HeaderTime, "body and answer": l.ProgressTime} {
		if d > 15*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// slow are the limits of the tests below: a fifteenth of the defaults or less.
var slow = proxy.Limits{HeaderTime: 500 * time.Millisecond, ProgressTime: 600 * time.Millisecond}

// dial connects with a receive buffer that is soon full.
func dialSmall(t testing.TB, addr netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.(*net.TCPConn).SetReadBuffer(4 << 10)
	return c.(*net.TCPConn)
}

// big is more than any buffers on the way hold.
func big(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/big":
		w.Write(make([]byte, 32<<20))
	case "/kernel":
		w.Write(make([]byte, 200<<10))
	default:
		fmt.Fprint(w, "ok")
	}
}

// attacks are connections that cost their client almost nothing: what is sent at first, and then again and again.
var attacks = []struct{ name, first, more string }{
	{"says nothing", "", ""},
	{"half a header", "GET / HTTP/1.1\r\nHost: x\r\n", ""},
	{"header by header", "GET / HTTP/1.1\r\nHost: x\r\n", "X: y\r\n"},
	{"half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc", ""},
	{"a body byte by byte", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc", "x"},
	{"a small body byte by byte", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc", "x"},
	{"chunk by chunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
	{"half an HTTP/2 header", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
		"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82", ""},
	{"half an HTTP/2 frame", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
		"\x00\x00\x08\x06\x00\x00\x00", ""},
}

func TestSlowConnectionsAreCutWhileOthersAreServed(t *testing.T) {
	p := start(t, proxy.Options{Limits: slow})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", big)))
	n := 20
	if os.Getenv("RHUMB_TEST_LONG") != "" {
		n = 200
	}
	began := time.Now()
	if testing.Short() {
		n = 4
	}
	var wg sync.WaitGroup
	for _, a := range attacks {
		var worst atomic.Int64
		for range n {
			c := dialSmall(t, addr)
			wg.Go(func() {
				if err := torment(c, a.first, a.more); err != nil {
					t.Errorf("%s: %v", a.name, err)
				}
				if d := int64(time.Since(began)); d > worst.Load() {
					worst.Store(d)
				}
			})
		}
		defer func() { t.Logf("%s: cut after %v", a.name, time.Duration(worst.Load())) }()
	}
	for i := range 50 {
		asked := time.Now()
		if code, body := get(t, "http://"+addr.String()); code != 200 || body != "ok" ||
			time.Since(asked) > 3*time.Second {
			t.Errorf("request %d beside the attack: %d %q after %v", i, code, body, time.Since(asked))
		}
	}
	wg.Wait()
	eventually(t, "all connections are cut", func() bool { return held(t, addr) == 0 })
	t.Logf("clients that read nothing: cut after %v", time.Since(began))
	eventually(t, "nothing is left at the replica", func() bool { return open(t, p, "a") == 0 })
}

// When the proxy itself answers, it doesn't read the body.
func TestABodyThatIsNotReadIsNotWaitedFor(t *testing.T) {
	p := start(t, proxy.Options{Limits: slow, Certificates: newPocket(t, []string{"tls.test"})})
	plain, over := freeAddr(t), freeAddr(t)
	apply(t, p, secure(1, plain, over, web(t, "a", big), "tls.test"))
	for host, want := range map[string]string{"tls.test": "308", "unknown.test": "404"} {
		for _, length := range []string{"Content-Length: 1000", "Content-Length: 100000",
			"Transfer-Encoding: chunked"} {
			c := dialSmall(t, plain)
			c.SetDeadline(time.Now().Add(5 * time.Second))
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n1\r\nx", host, length)
			b, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 "+want) {
				t.Errorf("%s, %s: %.20q, %v", host, length, b, err)
			}
		}
	}
}

// An answer in the kernel's buffers keeps no handler waiting, but it holds a connection and memory. When the kernel
// gives up, only the host can see it.
func TestAnAnswerThatStaysInTheKernelIsDropped(t *testing.T) {
	p := start(t, proxy.Options{Limits: slow})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", big)))
	began := time.Now()
	for range 20 {
		io.WriteString(dialSmall(t, addr), "GET /kernel HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	eventually(t, "the connections are held", func() bool { return held(t, addr) > 0 })
	eventually(t, "the connections are dropped", func() bool { return held(t, addr) == 0 })
	t.Logf("dropped after %v", time.Since(began))
}

// held counts the server's ends of established connections to an address.
func held(t testing.TB, addr netip.AddrPort) int {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if strings.HasSuffix(f[1], fmt.Sprintf(":%04X", addr.Port())) && f[3] == "01" {
			n++
		}
	}
	return n
}

// torment holds the connection until it is cut, reading nothing meanwhile.
func torment(c *net.TCPConn, first, more string) error {
	io.WriteString(c, first)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if cut(c) {
			return nil
		}
		if _, err := io.WriteString(c, more); more != "" && err != nil {
			return nil
		}
	}
	return errors.New("still held")
}

// cut reports whether the other side is gone, without reading what it has sent.
func cut(c *net.TCPConn) bool {
	state := byte(0)
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = info.State
		}
	})
	return err != nil || state != 1 // established
}

func TestASlowReaderWithProgressIsServed(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{ProgressTime: 400 * time.Millisecond}})
	addr := freeAddr(t)
	const size = 8 << 20
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter,
		r *http.Request) {
		w.Write(make([]byte, size))
	})))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	n, buf := 0, make([]byte, 256<<10)
	for {
		m, err := io.ReadFull(c, buf)
		if n += m; err != nil {
			break
		}
		time.Sleep(time.Duration(m) * time.Second / (2 << 20))
	}
	if n < size {
		t.Fatalf("cut after %d of %d bytes", n, size)
	}
}

// prior opens an HTTP/2 connection and shakes hands.
func prior(t testing.TB, addr netip.AddrPort, s ...http2.Setting) (*http2.Framer, *net.TCPConn) {
	t.Helper()
	c := dialSmall(t, addr)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.WriteSettings(s...)
	return f, c
}

func headers(id uint32, kv ...string) http2.HeadersFrameParam {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	kv = append([]string{":method", "GET", ":scheme", "http", ":authority", "x", ":path", "/"}, kv...)
	for i := 0; i < len(kv); i += 2 {
		e.WriteField(hpack.HeaderField{Name: kv[i], Value: kv[i+1]})
	}
	return http2.HeadersFrameParam{StreamID: id, BlockFragment: b.Bytes(), EndStream: true, EndHeaders: true}
}

func TestRapidResetIsBoundedPerConnection(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	var reached, now, most atomic.Int64
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-r.Context().Done()
	})))
	f, c := prior(t, addr)
	go io.Copy(io.Discard, c)
	sent, many := 0, 1_000_000
	for sent < many {
		id := uint32(2*sent + 1)
		if f.WriteHeaders(headers(id)) != nil || f.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
		if sent++; sent%20 == 0 {
			time.Sleep(time.Millisecond) // so that requests start, and aren't just dropped from a queue
		}
	}
	t.Logf("%d requests sent, %d reached the replica, %d at once", sent, reached.Load(), most.Load())
	if sent == many || reached.Load() > 2000 || most.Load() > 600 {
		t.Error("not bounded")
	}
}
