package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

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
		io.Copy(c, struct{ io.Reader }{c}) // which takes no pipes itself
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

func TestOnlySoManyConnectionsToEndpoints(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{Upstreams: 2}})
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
		t.Errorf("one too many: %d, %v", r.StatusCode, r.Header)
	}
	close(answer)
	eventually(t, "they end", func() bool { return open(t, p, "a") == 0 })
	if s := status(t, p).Backends["shop/web:80"].Releases[1]; s.Errors != 0 {
		t.Errorf("%d errors of the replica's", s.Errors)
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
	p := start(t, proxy.Options{Limits: proxy.Limits{Upstreams: 1}})
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
	if l.Upstreams < l.TotalConns {
		t.Errorf("%d connections of clients, and %d to endpoints", l.TotalConns, l.Upstreams)
	}
	all := l.TotalConns + l.Upstreams + l.TotalSessions
	if reserve := all / 19; reserve < 1 || l.Conns > l.TotalConns/2 || l.Sessions > l.TotalSessions/2 {
		t.Errorf("%d in all: %+v", all, l)
	}
}
