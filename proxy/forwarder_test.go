package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// canned is a replica that answers each head with the same bytes, and takes no memory for that.
func canned(t testing.TB, answer string) rhumb.Endpoint {
	return tcp(t, "canned", func(c net.Conn) {
		buf, back := make([]byte, 8<<10), []byte(answer)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				if _, err := c.Write(back); err != nil {
					return
				}
			}
		}
	})
}

const smallAnswer = "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 22:00:00 GMT\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 5\r\nCache-Control: no-store\r\n\r\nhello"

const smallRequest = "GET /cart?item=7 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
	"Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef\r\n\r\n"

// turns sends a request on a kept connection, and reads its answer, over and over.
func turns(t testing.TB, addr netip.AddrPort) func() {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ask, buf := []byte(smallRequest), make([]byte, 8<<10)
	return func() {
		if _, err := c.Write(ask); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], []byte("hello")); {
			m, err := c.Read(buf[n:])
			if n += m; err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestASmallRequestAllocatesNothing(t *testing.T) {
	if standardHTTP {
		t.Skip("the standard library allocates")
	}
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	table := one(1, addr, rhumb.HTTP, time.Second, canned(t, smallAnswer))
	table.Listeners[0].Backend, table.Rules = "", []rhumb.Rule{{Host: "shop.test", Backend: table.Backends[0].Name}}
	apply(t, p, table)
	turn := turns(t, addr)
	for range 100 {
		turn()
	}
	if n := testing.AllocsPerRun(2000, turn); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
}

// TestHostileRequestsAreRefusedOverSockets sends the requests of the room http1 to a proxy.
func TestHostileRequestsAreRefusedOverSockets(t *testing.T) {
	if standardHTTP {
		t.Skip("the standard library accepts some of them, in the only way that they have there")
	}
	b, err := os.ReadFile("internal/http1/testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	p, addr, r := start(t, proxy.Options{}), freeAddr(t), record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	var hostile atomic.Int64
	lines := make(chan string)
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			for line := range lines {
				want, quoted, _ := strings.Cut(line, " ")
				in, err := strconv.Unquote(quoted)
				if err != nil {
					t.Error(err)
					continue
				}
				hostile.Add(1)
				a := strings.ReplaceAll(say(t, addr, in), "HTTP/1.0", "HTTP/1.1")
				if !strings.HasPrefix(a, "HTTP/1.1 "+want+" ") || strings.Count(a, "HTTP/1.1 ") != 1 ||
					strings.Contains(a, "left open") {
					t.Errorf("%q is answered %.200q, want %s", in, a, want)
				}
			}
		})
	}
	for line := range strings.Lines(string(b)) {
		if line[0] == '4' {
			lines <- strings.TrimSuffix(line, "\n")
		}
	}
	close(lines)
	work.Wait()
	if strings.Contains(r.String(), "hidden") || hostile.Load() < 300 {
		t.Errorf("after %d requests the replica got %.500q", hostile.Load(), r)
	}
}

// Servers close idle links at any moment, and some answer a request that was not sent.
func TestALinkThatItsReplicaHasSpoiledIsNotUsed(t *testing.T) {
	if standardHTTP {
		t.Skip("the library's transport sees what was not asked for a moment too late")
	}
	answers := func(c net.Conn) { io.WriteString(c, smallAnswer) }
	for name, spoil := range map[string]func(net.Conn){
		"closed":     func(c net.Conn) { answers(c); c.Close() },
		"reset":      func(c net.Conn) { answers(c); c.(*net.TCPConn).SetLinger(0); c.Close() },
		"half ended": func(c net.Conn) { answers(c); c.(*net.TCPConn).CloseWrite() },
		"spoken on": func(c net.Conn) {
			io.WriteString(c, smallAnswer+"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, addr := start(t, proxy.Options{}), freeAddr(t)
			apply(t, p, one(1, addr, rhumb.HTTP, 0, tcp(t, "a", func(c net.Conn) {
				buf := make([]byte, 8<<10)
				if _, err := c.Read(buf); err == nil {
					spoil(c)
					c.Read(buf)
				}
			})))
			turn := turns(t, addr)
			for range 200 {
				turn()
			}
			if s := status(t, p).Backends["shop/web:80"].Releases[1]; s.Served != 200 || s.Errors != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", echoPath)))
	ask, want := "", ""
	for i := range 50 {
		switch i % 3 {
		case 0:
			ask += fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		case 1:
			ask += fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i)
		default:
			ask += fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", i)
		}
		want += fmt.Sprintf("</%d>", i)
	}
	ask += "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	want += "</last>"
	got := ""
	for rest := say(t, addr, ask); ; {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			break
		}
		path, next, _ := strings.Cut(after, ">")
		got, rest = got+"<"+path+">", next
	}
	if got != want {
		t.Errorf("%s", got)
	}
}

func echoPath(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, "<%s>", r.URL.Path)
}

// A chunk of one byte costs a client six bytes. Only the one byte is progress.
func TestFramingIsNoProgressOfABody(t *testing.T) {
	o := proxy.Options{Limits: proxy.Limits{ProgressTime: 500 * time.Millisecond, Progress: 30}}
	p, addr := start(t, o), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", echoPath)))
	c := dialSmall(t, addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	for end := time.Now().Add(5 * time.Second); !cut(c); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it isn't cut")
		}
		io.WriteString(c, "1\r\nx\r\n")
	}
}

// RFC 9110, 10.1.1: a replica that doesn't know of 100-continue waits for the body.
func TestABodyIsAskedForIfTheReplicaDoesNot(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, tcp(t, "a", func(c net.Conn) {
		for buf, n := make([]byte, 8<<10), 0; !bytes.Contains(buf[:n], []byte("words")); {
			m, err := c.Read(buf[n:])
			if n += m; err != nil {
				return
			}
		}
		io.WriteString(c, smallAnswer)
	})))
	c := front{port: addr.String()}.dial(t)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	head := make([]byte, len(goOn))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != goOn {
		t.Fatalf("%q, %v", head, err)
	}
	if a := converse(c, "words"); !strings.HasPrefix(a, "HTTP/1.1 200 OK\r\n") || !strings.Contains(a, "hello") {
		t.Errorf("%q", a)
	}
}

func TestHTTP10IsKeptAliveIfItAsks(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, canned(t, smallAnswer)))
	ask := "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	a := say(t, addr, ask+ask+"GET / HTTP/1.0\r\n\r\n")
	if strings.Count(a, "HTTP/1.0 200 OK\r\n") != 3 || strings.Count(a, "Connection: keep-alive\r\n") != 2 ||
		strings.Contains(a, "left open") {
		t.Errorf("%q", a)
	}
}

// The length of such an answer is only seen by its end, which a client of HTTP/1.1 must be able to tell from a break.
func TestAnAnswerUntilTheEndComesInChunks(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, tcp(t, "a", func(c net.Conn) {
		c.Read(make([]byte, 8<<10))
		io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n"+strings.Repeat("words ", 10_000))
	})))
	if code, body := get(t, "http://"+addr.String()); code != 200 || body != strings.Repeat("words ", 10_000) {
		t.Errorf("%d, %d bytes", code, len(body))
	}
	a := say(t, addr, "GET / HTTP/1.0\r\n\r\n")
	if _, body, _ := strings.Cut(a, "\r\n\r\n"); body != strings.Repeat("words ", 10_000) {
		t.Errorf("HTTP/1.0: %d bytes", len(body))
	}
}
