package proxy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// accepting returns a table whose listener expects preambles of trusted proxies.
func accepting(version uint64, addr netip.AddrPort, p rhumb.Protocol, e rhumb.Endpoint) rhumb.Table {
	t := one(version, addr, p, 0, e)
	t.Listeners[0].AcceptProxy = true
	return t
}

// trusting are options with which connections of this machine come from a trusted proxy.
func trusting() proxy.Options {
	return proxy.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Limits: proxy.Limits{HeaderTime: time.Second}}
}

// said sends the words on a new connection, ends its side, and returns the answer.
func said(t *testing.T, addr netip.AddrPort, words string) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, words); err != nil {
		return "", err
	}
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	return string(b), err
}

// mirror is a replica that answers with what it is sent.
func mirror(t *testing.T, name string) rhumb.Endpoint {
	return tcp(t, name, func(c net.Conn) { io.Copy(c, c) })
}

const named = "PROXY TCP4 203.0.113.9 198.51.100.1 40000 443\r\n"

func TestAPreambleReachesReplicasThatAskForOne(t *testing.T) {
	for version, want := range map[rhumb.ProxyProtocol]string{
		"": "hello", rhumb.ProxyV1: named + "hello",
		rhumb.ProxyV2: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\xc6\x33\x64\x01\x9c\x40\x01\xbb" + "hello",
	} {
		p, addr, e := start(t, trusting()), freeAddr(t), mirror(t, "a")
		e.SendProxy = version
		apply(t, p, accepting(1, addr, rhumb.TCP, e))
		if got, err := said(t, addr, named+"hello"); got != want || err != nil {
			t.Errorf("%q: the replica got %q, want %q (%v)", version, got, want, err)
		}
	}
}

func TestAReplicaGetsAPreambleOfAClientThatNoProxyNames(t *testing.T) {
	p, addr, e := start(t, proxy.Options{}), freeAddr(t), mirror(t, "a")
	e.SendProxy = rhumb.ProxyV1
	apply(t, p, one(1, addr, rhumb.TCP, 0, e))
	got, err := said(t, addr, "hello")
	want := "PROXY TCP4 127.0.0.1 127.0.0.1 "
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, fmt.Sprintf(" %d\r\nhello", addr.Port())) || err != nil {
		t.Errorf("got %q (%v)", got, err)
	}
}

func TestOnlyTrustedPeersNameTheirClients(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, accepting(1, addr, rhumb.TCP, mirror(t, "a")))
	if got, err := said(t, addr, named+"hello"); got != named+"hello" || err != nil {
		t.Errorf("a stranger's words reach the replica as %q (%v)", got, err)
	}
	apply(t, p, accepting(2, addr, rhumb.HTTP, web(t, "b", nil)))
	if got, _ := said(t, addr, named+"GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("a stranger gets %q", got)
	}
}

func TestATrustedPeerWithoutAPreambleIsClosed(t *testing.T) {
	p, addr := start(t, trusting()), freeAddr(t)
	reached := make(chan struct{}, 10)
	e := tcp(t, "a", func(c net.Conn) { reached <- struct{}{} })
	apply(t, p, accepting(1, addr, rhumb.TCP, e))
	for _, words := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PROXY TCP4 nonsense\r\n" + named, "PROXY"} {
		if got, _ := said(t, addr, words); got != "" {
			t.Errorf("%q is answered with %q", words, got)
		}
	}
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "PROXY TCP4 ") // and no more
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || isTimeout(err) {
		t.Errorf("a slow preamble: %v", err)
	}
	if len(reached) > 0 {
		t.Error("the replica was reached")
	}
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

func TestANamedClientIsTheClientOfHTTP(t *testing.T) {
	p, addr := start(t, trusting()), freeAddr(t)
	apply(t, p, accepting(1, addr, rhumb.HTTP, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Real-IP"))
	})))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, named)
	r := bufio.NewReader(c)
	for range 2 { // the second on the kept connection; what the client itself claims isn't believed
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.66\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "203.0.113.9 203.0.113.9" {
			t.Errorf("the replica learns %q", b)
		}
	}
}

func TestAHealthCheckOfATrustedPeerIsItsOwn(t *testing.T) {
	p, addr, e := start(t, trusting()), freeAddr(t), mirror(t, "a")
	e.SendProxy = rhumb.ProxyV1
	apply(t, p, accepting(1, addr, rhumb.TCP, e))
	got, err := said(t, addr, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00hello")
	if !strings.HasPrefix(got, "PROXY TCP4 127.0.0.1 127.0.0.1 ") || err != nil {
		t.Errorf("got %q (%v)", got, err)
	}
}

func TestOnlyTheOneThatAskedGetsATestimony(t *testing.T) {
	dir, err := os.MkdirTemp("", "rhumb-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "control.sock")
	p, addr := start(t, proxy.Options{Socket: socket}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", nil)))
	path, err := proxy.Testify(t.Context(), socket, "word")
	if err != nil {
		t.Fatal(err)
	}
	if _, got := get(t, "http://"+addr.String()+path+"x"); got != "a" {
		t.Errorf("another path is answered with %q", got)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+addr.String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.66")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got proxy.Testimony
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	here := netip.MustParseAddr("127.0.0.1")
	if got.Peer != here || got.Client != here || got.Trusted || got.Named.IsValid() || got.Stack != "shop" ||
		!slices.Equal(got.Claims["X-Forwarded-For"], []string{"192.0.2.66"}) ||
		got.Passed["X-Forwarded-For"] != "127.0.0.1" {
		t.Errorf("got %+v", got)
	}
}

func TestTheEntryTakesPreamblesIfTheServerIsSetSo(t *testing.T) {
	o := trusting()
	o.AcceptProxy = true
	p, addr := start(t, o), freeAddr(t)
	table := one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Real-IP"))
	}))
	table.Listeners[0].Backend, table.Rules = "", []rhumb.Rule{{Backend: "shop/web:80"}}
	apply(t, p, table)
	got, err := said(t, addr, named+"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if err != nil || !strings.HasSuffix(got, "203.0.113.9") {
		t.Errorf("got %q (%v)", got, err)
	}
}
