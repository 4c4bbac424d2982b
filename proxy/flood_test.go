package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"rhumb"
	"rhumb/proxy"
)

// alone skips a test that measures, unless it has the machine to itself.
func alone(t *testing.T) {
	t.Helper()
	if os.Getenv("RHUMB_TEST_ALONE") == "" {
		t.Skip("measures memory and time: make test runs it alone, with RHUMB_TEST_ALONE=1")
	}
}

// fortress is a proxy in a process of its own, with the default limits. One stack is flooded. Another has ports of
// HTTP, HTTPS and TCP.
type fortress struct {
	pid                      int
	flooded, web, https, raw netip.AddrPort
	proto                    rhumb.Protocol // of the flooded port
	router                   rhumb.Router
}

func besiege(t *testing.T, proto rhumb.Protocol, flooded rhumb.Endpoint) *fortress {
	t.Helper()
	dir := t.TempDir()
	f := &fortress{pid: spawn(t, dir).Process.Pid, router: proxy.Dial(filepath.Join(dir, "s")), proto: proto,
		flooded: freeAddr(t), web: freeAddr(t), https: freeAddr(t), raw: freeAddr(t)}
	apply(t, f.router, rhumb.Table{Version: 1,
		Listeners: []rhumb.Listener{{Addr: f.flooded, Protocol: proto, Backend: "flooded"},
			{Addr: f.web, Protocol: rhumb.HTTP, Backend: "web"},
			{Addr: f.raw, Protocol: rhumb.TCP, Backend: "raw"}, {Addr: f.https, Protocol: rhumb.HTTPS}},
		Backends: []rhumb.Backend{{Name: "flooded", Stack: "flooded", Endpoints: []rhumb.Endpoint{flooded}},
			{Name: "web", Stack: "other", Endpoints: []rhumb.Endpoint{web(t, "web", nil)}},
			{Name: "raw", Stack: "other", Endpoints: []rhumb.Endpoint{tcp(t, "raw", echo("raw"))}}},
		Rules:        []rhumb.Rule{{Host: "tls.test", Backend: "web"}},
		Certificates: []rhumb.Certificate{{Host: "tls.test", Source: rhumb.CertInternal}}})
	return f
}

// memory returns the resident memory in MB.
func (f *fortress) memory(t *testing.T) (mb int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	if _, err := fmt.Sscan(after, &mb); err != nil {
		t.Fatal(err)
	}
	return mb >> 10
}

// files counts the descriptors of the process.
func (f *fortress) files(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// cpu returns the CPU time that the process has used.
func (f *fortress) cpu(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // a tick is a hundredth of a second
}

// toll is what a flood costs.
type toll struct {
	memory, files int // at the worst
	waits         []time.Duration
}

// late returns the time within which the given percentage of the others' requests was answered.
func (c *toll) late(percent int) time.Duration {
	slices.Sort(c.waits)
	return c.waits[(len(c.waits)-1)*percent/100].Round(time.Millisecond)
}

// watch measures for a time while others ask the other ports, and the flooded one if it speaks HTTP.
func (f *fortress) watch(t *testing.T, during time.Duration) *toll {
	t.Helper()
	c := &toll{}
	secure := over(f.https, false, "tls.test")
	secure.Transport.(*http.Transport).DisableKeepAlives = true
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		asks := []func() string{
			func() string { _, body := get(t, "http://"+f.web.String()); return body },
			func() string { _, body := fetch(t, secure, "https://tls.test/"); return body },
			func() string { c, _, who := dialLine(t, f.raw); c.Close(); return who },
		}
		if f.proto == rhumb.HTTP {
			asks = append(asks, func() string { _, body := get(t, "http://"+f.flooded.String()+"/small"); return body })
		}
		for _, ask := range asks {
			asked := time.Now()
			if got := ask(); got != "web" && got != "raw" && got != "small" {
				t.Fatalf("another client: %q", got)
			}
			c.waits = append(c.waits, time.Since(asked))
		}
		c.memory, c.files = max(c.memory, f.memory(t)), max(c.files, f.files(t))
	}
	return c
}

// bear measures what the flood costs, and fails if that is too much.
func (f *fortress) bear(t *testing.T, during time.Duration, mostMemory int, start func()) {
	t.Helper()
	f.watch(t, time.Second) // so that it has served some requests
	before, cpu := f.memory(t), f.cpu(t)
	start()
	c := f.watch(t, during)
	t.Logf("memory %d MB and %d more, %d descriptors, %v of CPU", before, c.memory-before, c.files, f.cpu(t)-cpu)
	t.Logf("%d requests of others: half within %v, 95%% within %v, 99%% within %v, all within %v",
		len(c.waits), c.late(50), c.late(95), c.late(99), c.late(100))
	if c.memory-before > mostMemory {
		t.Errorf("%d MB more, want %d at most", c.memory-before, mostMemory)
	}
	if limit := proxy.DefaultLimits(); c.files > limit.TotalConns+limit.EndpointConns+limit.TotalSessions {
		t.Errorf("%d descriptors: the reserve was taken", c.files)
	}
	if c.late(95) > 100*time.Millisecond {
		t.Errorf("others waited %v", c.late(95))
	}
	if c.late(99) > 400*time.Millisecond {
		t.Errorf("one in a hundred waited %v", c.late(99))
	}
}

// page is more than the kernel's buffers take.
var page = make([]byte, 5<<20)

func bigPage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/small" {
		fmt.Fprint(w, "small")
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.Write(page)
}

// flood opens connections with small receive buffers, each from another loopback address, and runs each.
// All are closed when the test ends.
func flood(t *testing.T, addr netip.AddrPort, conns, addresses, perSecond int, run func(net.Conn)) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range conns {
			time.Sleep(time.Second / time.Duration(perSecond))
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%addresses))}}
			c, err := d.DialContext(ctx, "tcp", addr.String())
			if err != nil {
				return // the test is over or has failed
			}
			c.(*net.TCPConn).SetReadBuffer(4 << 10)
			context.AfterFunc(ctx, func() { c.Close() })
			wg.Go(func() { run(c) })
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
}

func TestAFloodOfSlowReadersAlone(t *testing.T) {
	alone(t)
	f := besiege(t, rhumb.HTTP, web(t, "a", bigPage))
	f.bear(t, 8*time.Second, 64, func() {
		flood(t, f.flooded, 2000, 1, 400, func(c net.Conn) {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			for err := error(nil); err == nil; _, err = c.Read(make([]byte, 32)) {
				time.Sleep(5 * time.Second)
			}
		})
	})
}

// stall opens streams of HTTP/2 without a window, so that nothing may be sent on them.
func stall(streams int) []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for i := range streams {
		f.WriteHeaders(headers(uint32(2*i + 1)))
	}
	return b.Bytes()
}

func TestAFloodOfStreamsWithoutAWindowAlone(t *testing.T) {
	alone(t)
	for name, addresses := range map[string]int{"from one address": 1, "from many addresses": 110} {
		t.Run(name, func(t *testing.T) {
			f := besiege(t, rhumb.HTTP, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/small" {
					fmt.Fprint(w, "small")
					return
				}
				w.Write(page[:256<<10]) // without a window that is as much as the rest
			}))
			f.bear(t, 5*time.Second, 200, func() {
				flood(t, f.flooded, 220, addresses, 10_000, func(c net.Conn) {
					c.Write(stall(100))
					io.Copy(io.Discard, c)
				})
			})
		})
	}
}

func TestAFloodOfIdleTCPConnectionsAlone(t *testing.T) {
	alone(t)
	f := besiege(t, rhumb.TCP, tcp(t, "a", func(c net.Conn) { c.Read(make([]byte, 1)) }))
	f.bear(t, 4*time.Second, 64, func() { flood(t, f.flooded, 3600, 1, 10_000, func(net.Conn) {}) })
}

// Each datagram comes from an address of its own. The replica answers with the address that it was asked from, which is
// that of the client's session.
func TestAFloodOfDatagramsAlone(t *testing.T) {
	alone(t)
	f := besiege(t, rhumb.UDP, sessionNames(t))
	settled := udpDial(t, f.flooded.String())
	session := ask(t, settled, "x")
	ask(t, settled, "x")
	f.bear(t, 4*time.Second, 48, func() {
		for i := range 11_000 {
			d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, byte(2+i/200), byte(1+i%200))}}
			c, err := d.Dial("udp", f.flooded.String())
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte("x"))
			c.Close()
		}
		if got := ask(t, settled, "x"); got != session {
			t.Errorf("the settled client's session was %s and is %s", session, got)
		}
	})
	ask(t, udpDial(t, f.flooded.String()), "a new client is served")
	if got := ask(t, settled, "x"); got != session {
		t.Errorf("the settled client's session was %s and is %s", session, got)
	}
}

// sessionNames starts a UDP replica that answers with the address that it was asked from, and what it got.
func sessionNames(t *testing.T) rhumb.Endpoint {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(fmt.Appendf(nil, "%s: %s", from, b[:n]), from)
		}
	}()
	return endpoint("a", c.LocalAddr().String())
}

// frameFlood is what a client of HTTP/2 sends that costs it nothing: first, and then more without end.
type frameFlood struct{ name, first, more string }

func frameFloods() []frameFlood {
	settings := http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	upload := "\x00\x00\x05\x01\x04\x00\x00\x00\x01\x83\x86\x84\x41\x00" // POST / without an end
	var resets bytes.Buffer
	fr := http2.NewFramer(&resets, nil)
	for i := range 100_000 {
		fr.WriteHeaders(headers(uint32(2*i + 1)))
		fr.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
	}
	return []frameFlood{
		{"resets", settings + resets.String(), ""},
		{"SETTINGS", settings, "\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		{"PING", settings, "\x00\x00\x08\x06\x00\x00\x00\x00\x00rhumb---"},
		{"PRIORITY", settings, "\x00\x00\x05\x02\x00\x00\x00\x00\x03\x00\x00\x00\x00\x10"},
		{"an unknown kind", settings, "\x00\x00\x00\x7f\x00\x00\x00\x00\x00"},
		{"empty DATA", settings + upload, "\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
		{"padding", settings + upload, "\x00\x00\x04\x00\x08\x00\x00\x00\x01\x03\x00\x00\x00"},
		{"empty CONTINUATION", settings + "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82",
			"\x00\x00\x00\x09\x00\x00\x00\x00\x01"},
	}
}

// A connection that is cut is opened again.
func TestFloodsOfFramesAlone(t *testing.T) {
	alone(t)
	for _, c := range frameFloods() {
		t.Run(c.name, func(t *testing.T) {
			f := besiege(t, rhumb.HTTP, web(t, "small", nil))
			var opened atomic.Int64
			f.bear(t, 3*time.Second, 64, func() {
				flood(t, f.flooded, 8, 8, 10_000, func(conn net.Conn) {
					for err := error(nil); err == nil && t.Context().Err() == nil; {
						opened.Add(1)
						sendFrames(conn, c.first, strings.Repeat(c.more, 1000))
						d := net.Dialer{LocalAddr: &net.TCPAddr{IP: conn.LocalAddr().(*net.TCPAddr).IP}}
						conn, err = d.Dial("tcp", f.flooded.String())
					}
				})
			})
			t.Logf("%d connections were opened", opened.Load())
		})
	}
}

// sendFrames sends for as long as the connection lasts.
func sendFrames(c net.Conn, first, more string) {
	defer c.Close()
	go func() {
		_, err := io.WriteString(c, first)
		for err == nil && more != "" {
			_, err = io.WriteString(c, more)
		}
	}()
	io.Copy(io.Discard, c)
}
