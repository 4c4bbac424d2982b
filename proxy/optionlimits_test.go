package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

func TestAReplicaThatTakesTooLongIsGivenUp(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		slow := func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // from here on the server sees that its client leaves
			switch r.URL.Path {
			case "/quick":
				fmt.Fprint(w, "quick")
				return
			case "/halfway":
				fmt.Fprint(w, "half")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done() // the proxy gives up
		}
		p := start(t, o)
		addr := freeAddr(t)
		a := web(t, "a", slow)
		limit := 250 * time.Millisecond // a slow machine has to stay within it at /quick
		for i, limits := range []rhumb.Timeouts{{Header: limit, Idle: limit}, {Whole: 2 * limit}} {
			ro := &rhumb.RouteOptions{Timeouts: limits, Pages: []rhumb.ErrorPage{{Status: 504, File: sorryPage}}}
			apply(t, p, routed(uint64(i+1), addr, "", ro, a))
			for range 3 {
				if r, body := answerOf(t, addr, "GET", "/quick"); r.StatusCode != 200 || body != "quick" {
					t.Errorf("%+v: %d %s", limits, r.StatusCode, body)
				}
			}
			for _, method := range []string{"GET", "POST"} {
				r, body := answerWith(t, addr, method, "/never", strings.Repeat("a", 10))
				if r.StatusCode != 504 || body != "<h1>sorry</h1>" {
					t.Errorf("%+v, %s: %d %s", limits, method, r.StatusCode, body)
				}
			}
			if r, body := answerOf(t, addr, "GET", "/halfway"); r.StatusCode != 200 || body != "broken off: half" {
				t.Errorf("%+v: %d %s", limits, r.StatusCode, body)
			}
		}
		eventually(t, "no request is open", func() bool { return open(t, p, "a") == 0 })
	})
}

func TestAKeptLinkHasNoLimitOfTheRequestBefore(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		p := start(t, o)
		addr := freeAddr(t)
		limit := 500 * time.Millisecond
		table := routed(1, addr, "/limited", &rhumb.RouteOptions{Timeouts: rhumb.Timeouts{Header: limit, Idle: limit,
			Whole: limit}}, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-time.After(limit + limit/4)
			}
			fmt.Fprint(w, "done")
		}))
		table.Rules = append([]rhumb.Rule{{Backend: "shop/web:80"}}, table.Rules...)
		apply(t, p, table)
		for range 2 {
			for _, uri := range []string{"/limited", "/slow"} {
				if r, body := answerOf(t, addr, "GET", uri); r.StatusCode != 200 || body != "done" {
					t.Errorf("%s: %d %s", uri, r.StatusCode, body)
				}
			}
		}
	})
}

func TestABufferedRequestReachesItsReplicaWhole(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		asked := make(chan string, 10)
		buffer := &rhumb.RouteOptions{Buffer: rhumb.Buffer{Request: 100 << 10}}
		addr := optioned(t, o, "", buffer, func(w http.ResponseWriter, r *http.Request) {
			asked <- r.Method
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		})
		for size, waits := range map[int]bool{50 << 10: true, 100 << 10: true, 101 << 10: false} {
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			body := bytes.Repeat([]byte("a"), size)
			fmt.Fprintf(c, "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n%s", size, body[:size-1])
			patience := 10 * time.Second
			if waits {
				patience = 100 * time.Millisecond
			}
			select {
			case <-asked:
				if waits {
					t.Errorf("the replica is asked before the end of %d bytes", size)
				}
				asked <- "again"
			case <-time.After(patience):
				if !waits {
					t.Errorf("%d bytes are held back", size)
				}
			}
			_, _ = c.Write(body[size-1:])
			<-asked
			if r, body := readAnswer(t, c, "PUT"); r.StatusCode != 200 || body != fmt.Sprint(size) {
				t.Errorf("%d bytes: %d %s", size, r.StatusCode, body)
			}
			c.Close()
		}
	})
}

func TestABufferedAnswerIsSentOnceItIsWhole(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		more := make(chan bool)
		buffer := &rhumb.RouteOptions{Buffer: rhumb.Buffer{Response: 20 << 10}}
		addr := optioned(t, o, "", buffer, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/events":
				w.Header().Set("Content-Type", "text/event-stream")
			case "/large":
				_, _ = w.Write(bytes.Repeat([]byte("a"), 30<<10))
			}
			fmt.Fprint(w, "first ")
			_ = http.NewResponseController(w).Flush()
			if <-more {
				fmt.Fprint(w, "last")
				return
			}
			panic(http.ErrAbortHandler)
		})
		for uri, held := range map[string]bool{"/": true, "/events": false, "/large": false} {
			c := get1(t, addr, uri)
			patience := 10 * time.Second
			if held {
				patience = 100 * time.Millisecond
			}
			_ = c.SetReadDeadline(time.Now().Add(patience))
			in := bufio.NewReader(c)
			if _, err := in.Peek(1); (err != nil) != held {
				t.Errorf("%s: %v", uri, err)
			}
			more <- true
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if r, body := readAnswer(t, in, "GET"); r.StatusCode != 200 || !strings.HasSuffix(body, "first last") {
				t.Errorf("%s: %d %.20s", uri, r.StatusCode, body)
			}
			c.Close()
		}
		c := get1(t, addr, "/")
		more <- false
		if r, _ := readAnswer(t, c, "GET"); r.StatusCode != 502 {
			t.Errorf("an answer that breaks off before it was sent: %d", r.StatusCode)
		}
		c.Close()
	})
}

// get1 sends a request, and returns its connection.
func get1(t *testing.T, addr netip.AddrPort, uri string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.test\r\n\r\n", uri)
	return c
}

// slotted returns a replica in a slot.
func slotted(e rhumb.Endpoint, slot, release int) rhumb.Endpoint {
	e.Slot, e.Release = slot, release
	return e
}

func TestAClientStaysWithItsSlot(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		o.State = t.TempDir()
		p := start(t, o)
		addr := freeAddr(t)
		table := func(version uint64, es ...rhumb.Endpoint) rhumb.Table {
			it := one(version, addr, rhumb.HTTP, 0, es...)
			it.Backends[0].Sticky = true
			return it
		}
		var es []rhumb.Endpoint
		for i := range 5 {
			es = append(es, slotted(web(t, fmt.Sprint("one", i+1), nil), i+1, 1))
		}
		apply(t, p, table(1, es...))
		r, first := answerOf(t, addr, "GET", "/")
		cookies := r.Cookies()
		if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].Path != "/" ||
			cookies[0].SameSite != http.SameSiteLaxMode {
			t.Fatalf("%v", r.Header)
		}
		cookie := "Cookie: other=1; " + cookies[0].Name + "=" + cookies[0].Value
		for range 20 {
			if r, body := answerOf(t, addr, "GET", "/", cookie); body != first || len(r.Cookies()) != 0 {
				t.Fatalf("it moved from %s to %s: %v", first, body, r.Header)
			}
		}
		slot := strings.TrimPrefix(first, "one")
		var next []rhumb.Endpoint
		for i := range 5 {
			next = append(next, slotted(web(t, fmt.Sprint("two", i+1), nil), i+1, 2))
		}
		apply(t, p, table(2, append(next, es...)...)) // both releases serve
		if _, body := answerOf(t, addr, "GET", "/", cookie); body != "two"+slot {
			t.Errorf("after a deployment it is at %s, not in slot %s", body, slot)
		}
		rest := next[:0:0]
		for _, e := range next {
			if fmt.Sprint(e.Slot) != slot {
				rest = append(rest, e)
			}
		}
		apply(t, p, table(3, rest...))
		r, body := answerOf(t, addr, "GET", "/", cookie)
		if r.StatusCode != 200 || len(r.Cookies()) != 1 {
			t.Errorf("its slot is gone: %d %s %v", r.StatusCode, body, r.Header)
		}
		forged := "Cookie: " + cookies[0].Name + "=1." + strings.Repeat("A", 22)
		if r, _ := answerOf(t, addr, "GET", "/", forged); len(r.Cookies()) != 1 {
			t.Error("a forged cookie is believed")
		}
	})
}

func TestATCPClientStaysWithItsSlot(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	table := func(version uint64, es ...rhumb.Endpoint) rhumb.Table {
		it := one(version, addr, rhumb.TCP, 0, es...)
		it.Backends[0].Sticky = true
		return it
	}
	var es []rhumb.Endpoint
	for i := range 5 {
		name := fmt.Sprint("a", i+1)
		es = append(es, slotted(tcp(t, name, echo(name)), i+1, 1))
	}
	apply(t, p, table(1, es...))
	from := func(ip string) string {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: 5 * time.Second}
		c, err := d.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	where := map[string]string{}
	used := map[string]bool{}
	for i := range 40 {
		ip := fmt.Sprint("127.0.1.", i+1)
		where[ip] = from(ip)
		used[where[ip]] = true
	}
	if len(used) != len(es) {
		t.Errorf("40 clients use %d of 5 replicas", len(used))
	}
	apply(t, p, table(2, es[:4]...)) // the last one is gone
	for ip, was := range where {
		if is := from(ip); is != was && was != "a5" {
			t.Errorf("%s moved from %s to %s", ip, was, is)
		}
	}
}
