package proxy_test

import (
	"bufio"
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
	"testing"
	"time"

	"github.com/coder/websocket"

	"rhumb"
	"rhumb/proxy"
)

func TestIdleClientsAreCut(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{HeaderTime: 200 * time.Millisecond,
		ProgressTime: 300 * time.Millisecond,
		IdleTime:     200 * time.Millisecond, Header: 8 << 10}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/big" {
			w.Write(make([]byte, 64<<20))
		}
	})))
	for _, c := range []struct{ name, send, want string }{
		{"nothing", "", ""},
		{"half a header", "GET / HTTP/1.1\r\nHost: x\r\n", ""},
		{"half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", "HTTP/1.1 408"},
		{"too much header", "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 20<<10) + "\r\n\r\n",
			"HTTP/1.1 431"},
		{"idle after a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, c.send)
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			b, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(b), c.want) {
				t.Fatalf("%q, %v", b, err)
			}
		})
	}
	t.Run("reads nothing", func(t *testing.T) {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
		eventually(t, "the request runs", func() bool { return open(t, p, "a") == 1 })
		eventually(t, "the request is cut", func() bool { return open(t, p, "a") == 0 })
	})
}

// stallUntilCut sends half a request and returns once the proxy has cut it, which is when ProgressTime has passed.
func stallUntilCut(t testing.TB, addr netip.AddrPort) {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1")
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a stalled request isn't cut")
	}
}

func TestASlowButSteadyBodyIsNotCut(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{ProgressTime: time.Second, Progress: 1}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		stallUntilCut(t, addr) // a replica may take longer than a client may pause
		for range 5 {
			fmt.Fprint(w, n, err, ";")
			w.(http.Flusher).Flush()
			time.Sleep(250 * time.Millisecond)
		}
	})))
	r, w := io.Pipe()
	go func() {
		for range 8 {
			time.Sleep(150 * time.Millisecond) // far below the limit, on a slow machine too
			w.Write([]byte("x"))
		}
		w.Close()
	}()
	resp, err := http.Post("http://"+addr.String(), "text/plain", r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != strings.Repeat("8 <nil>;", 5) {
		t.Fatalf("%q, %v", b, err)
	}
}

func TestAnAnswerBeforeTheBodysEndComesThrough(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no", http.StatusRequestEntityTooLarge)
	})))
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nabc")
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != 413 {
		t.Fatalf("%v, %v", r, err)
	}
}

func TestWaitingRequestsAreLimited(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{Waiting: 2}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 10*time.Second))
	var wg sync.WaitGroup
	codes := make(chan int, 5)
	for range 5 {
		wg.Go(func() {
			code, _ := get(t, "http://"+addr.String())
			codes <- code
		})
	}
	for range 3 { // at once, not after the hold
		if code := <-codes; code != 503 {
			t.Errorf("over the limit: %d", code)
		}
	}
	st, _ := p.Status(t.Context())
	if s := st.Backends["shop/web:80"]; s.Waiting != 2 || time.Since(s.WaitingSince) > 10*time.Second {
		t.Errorf("while requests wait: %+v", s)
	}
	apply(t, p, one(2, addr, rhumb.HTTP, 10*time.Second, web(t, "a", nil)))
	for range 2 {
		if code := <-codes; code != 200 {
			t.Errorf("a waiting request got %d", code)
		}
	}
	wg.Wait()
	st, _ = p.Status(t.Context())
	if s := st.Backends["shop/web:80"]; s.Held != 2 || s.Unserved != 3 || s.Waiting != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// Many applications answer a POST without reading its body. That must not cost the client the answer, or its next
// request.
func TestAReplicaMayAnswerWithoutReadingTheBody(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	closes := tcp(t, "closes", func(c net.Conn) { // like gunicorn's sync workers
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	reads := web(t, "reads", nil)
	for i, size := range []int{100, 100, 20 << 10, 20 << 10, 200 << 10, 200 << 10} {
		e := []rhumb.Endpoint{closes, reads}[i%2]
		apply(t, p, one(uint64(i+1), addr, rhumb.HTTP, 0, e))
		t.Run(fmt.Sprint(size, " to one that ", e.Name), func(t *testing.T) {
			var wg sync.WaitGroup
			for range 4 {
				tr := &http.Transport{}
				c := &http.Client{Transport: tr}
				wg.Go(func() {
					defer tr.CloseIdleConnections()
					for range 40 {
						req, _ := http.NewRequest("POST", "http://"+addr.String(), bytes.NewReader(make([]byte, size)))
						req.GetBody = nil
						r, err := c.Do(req)
						if err != nil {
							t.Error(err)
							return
						}
						b, err := io.ReadAll(r.Body)
						r.Body.Close()
						if r.StatusCode != 200 || err != nil {
							t.Errorf("%d %s %v", r.StatusCode, b, err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestAnUpgradedConnectionMayBeIdle(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{HeaderTime: 50 * time.Millisecond,
		ProgressTime: 50 * time.Millisecond, IdleTime: 50 * time.Millisecond}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", echoWebSocket)))
	c, _, err := websocket.Dial(t.Context(), "ws://"+addr.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for range 3 {
		stallUntilCut(t, addr)
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "hi" {
		t.Fatalf("%q, %v", b, err)
	}
}

func TestTheClientOfAnUpgradedConnectionMayStopReading(t *testing.T) {
	p := start(t, proxy.Options{Limits: slow})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, tcp(t, "a", func(c net.Conn) {
		c.Read(make([]byte, 4<<10))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		c.Write(make([]byte, 256<<10))
	})))
	c := dialSmall(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	for range 3 {
		stallUntilCut(t, addr)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := io.CopyN(io.Discard, c, 64<<10); err != nil { // more than its kernel has received
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestAHalfClosedConnectionEnds(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{HalfTime: 200 * time.Millisecond}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, tcp(t, "a", func(c net.Conn) { fmt.Fprintln(c, "bye") })))
	dialLine(t, addr) // and neither sends nor closes
	eventually(t, "nothing is open at the replica", func() bool { return open(t, p, "a") == 0 })
}

func TestEventsAreNotHeldBack(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	more := make(chan struct{})
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-more
	})))
	r, err := http.Get("http://" + addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	line, err := bufio.NewReader(r.Body).ReadString('\n')
	close(more)
	if line != "data: 1\n" {
		t.Fatalf("%q, %v", line, err)
	}
}
