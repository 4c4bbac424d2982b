package proxy_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	number "math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rhumb"
	"rhumb/proxy"
)

// pocket has certificates for the given names.
type pocket struct {
	certs   map[string]*tls.Certificate
	managed atomic.Int64
	resting atomic.Bool
	away    atomic.Bool // there is no good certificate
}

func newPocket(t testing.TB, lists ...[]string) *pocket {
	t.Helper()
	p, err := makePocket(lists...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// makePocket makes a certificate for each list of names.
func makePocket(lists ...[]string) (*pocket, error) {
	p := &pocket{certs: map[string]*tls.Certificate{}}
	for _, names := range lists {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		template := &x509.Certificate{SerialNumber: number.NewInt(1), DNSNames: names,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			return nil, err
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			p.certs[n] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
		}
	}
	return p, nil
}

func (p *pocket) Manage(context.Context, rhumb.Table) { p.managed.Add(1) }
func (p *pocket) Good(host string) bool               { return p.certs[host] != nil && !p.away.Load() }
func (p *pocket) Rest()                               { p.resting.Store(true) }
func (p *pocket) Status() []rhumb.CertificateStatus   { return nil }
func (p *pocket) Certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.certs[h.ServerName], nil
}

func (p *pocket) Challenge(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/token") {
		return false
	}
	_, _ = io.WriteString(w, "the answer")
	return true
}

// secure returns a table with both entries, and a rule and a certificate for each of the hosts.
func secure(version uint64, plain, over netip.AddrPort, e rhumb.Endpoint, hosts ...string) rhumb.Table {
	t := rhumb.Table{Version: version, Listeners: []rhumb.Listener{{Addr: plain, Protocol: rhumb.HTTP},
		{Addr: over, Protocol: rhumb.HTTPS}},
		Backends: []rhumb.Backend{{Name: "b", Endpoints: []rhumb.Endpoint{e}}}}
	for _, h := range hosts {
		t.Rules = append(t.Rules, rhumb.Rule{Host: h, Backend: "b"})
		t.Certificates = append(t.Certificates, rhumb.Certificate{Host: h, Source: rhumb.CertInternal})
	}
	return t
}

// over returns a client whose connections all go to the address, with the name in their handshakes if it isn't "".
func over(addr netip.AddrPort, http2 bool, name string) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	return &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	},
		Transport: &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
			ServerName: name},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", addr.String())
			}}}
}

func fetch(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestRequestsOverTLSReachTheReplica(t *testing.T) {
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	p := start(t, proxy.Options{Certificates: newPocket(t, []string{"a.test", "www.a.test"}, []string{"b.test"})})
	apply(t, p, secure(1, plain, tlsAddr, web(t, "r", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=1")
		_, _ = fmt.Fprint(w, r.Host, " ", r.Header.Get("X-Forwarded-Proto"), " ", r.ContentLength)
	}), "a.test", "www.a.test", "b.test"))
	for proto, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		resp, body := fetch(t, over(tlsAddr, h2, ""), "https://a.test/")
		if resp.Proto != proto || body != "a.test https 0" {
			t.Errorf("%s: got %s %q", proto, resp.Proto, body)
		}
		if got := resp.Header["Strict-Transport-Security"]; len(got) != 1 || got[0] != "max-age=1" {
			t.Errorf("%s: the replica's own HSTS became %q", proto, got)
		}
		other := over(tlsAddr, h2, "a.test")
		if resp, _ := fetch(t, other, "https://b.test/"); resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: a host that the certificate isn't for: %d", proto, resp.StatusCode)
		}
		if resp, body := fetch(t, other, "https://www.a.test/"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: another host of the certificate: %d %s", proto, resp.StatusCode, body)
		}
	}
	for _, name := range []string{"c.test", ""} {
		_, err := tls.Dial("tcp", tlsAddr.String(), &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if _, err := tls.Dial("tcp", tlsAddr.String(), &tls.Config{InsecureSkipVerify: true, ServerName: "a.test",
			MinVersion: tls.VersionTLS10, MaxVersion: version}); err == nil {
			t.Errorf("TLS version %x is accepted", version)
		}
	}
}

func TestVisitorsAreRedirectedToTLSOnlyIfItWorks(t *testing.T) {
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	pocket := newPocket(t, []string{"a.test"}, []string{"both.test"})
	p := start(t, proxy.Options{Certificates: pocket})
	table := secure(1, plain, tlsAddr, web(t, "r", nil), "a.test", "both.test", "none.test")
	table.Certificates[1].Plain = true
	table.Certificates[0].HSTS = time.Hour
	apply(t, p, table)
	c := over(plain, false, "")
	for url, want := range map[string]string{
		"http://a.test/x%2fy/?q=1&r=%20": fmt.Sprintf("https://a.test:%d/x%%2fy/?q=1&r=%%20",
			tlsAddr.Port()),
		"http://A.test:80/":                              fmt.Sprintf("https://a.test:%d/", tlsAddr.Port()),
		"http://a.test//evil.test/":                      fmt.Sprintf("https://a.test:%d//evil.test/", tlsAddr.Port()),
		"http://both.test/":                              "",
		"http://none.test/":                              "", // its certificate isn't there
		"http://a.test/.well-known/acme-challenge/token": "",
	} {
		resp, body := fetch(t, c, url)
		if got := resp.Header.Get("Location"); got != want || want != "" &&
			resp.StatusCode != http.StatusPermanentRedirect {
			t.Errorf("%s: %d to %q, want %q", url, resp.StatusCode, got, want)
		}
		if strings.HasSuffix(url, "/token") && body != "the answer" {
			t.Errorf("the challenge: %q", body)
		}
		if resp.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: HSTS in clear", url)
		}
	}
	if resp, _ := fetch(t, over(tlsAddr, true, ""),
		"https://a.test/"); resp.Header.Get("Strict-Transport-Security") != "max-age=3600" {
		t.Errorf("HSTS over TLS: %v", resp.Header)
	}
	pocket.away.Store(true)
	if resp, _ := fetch(t, c, "http://a.test/"); resp.StatusCode != http.StatusOK {
		t.Errorf("without a good certificate: %d", resp.StatusCode)
	}
}

func TestTheGuardChecksRequestsOverTLS(t *testing.T) {
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	var seen atomic.Int64
	p := start(t, proxy.Options{Certificates: newPocket(t, []string{"a.test"})})
	apply(t, p, secure(1, plain, tlsAddr, web(t, "r", func(http.ResponseWriter, *http.Request) { seen.Add(1) }),
		"a.test"))
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a.test\r\nX: y\n\r\n",
		"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\n folded: x\r\n\r\n",
	} {
		c, err := tls.Dial("tcp", tlsAddr.String(), &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, text)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %v %v", text, resp, err)
		}
		_ = c.Close()
	}
	if seen.Load() > 0 {
		t.Errorf("%d requests reached the replica", seen.Load())
	}
}

func TestIdleClientsOverTLSAreCut(t *testing.T) {
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	p := start(t, proxy.Options{Certificates: newPocket(t, []string{"a.test"}),
		Limits: proxy.Limits{HeaderTime: 2 * time.Second, ProgressTime: time.Second,
			IdleTime: 200 * time.Millisecond}}) // enough for a handshake on a busy machine
	apply(t, p, secure(1, plain, tlsAddr, web(t, "r", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/big" {
			_, _ = w.Write(make([]byte, 64<<20))
		}
	}), "a.test"))
	dial := func(t *testing.T, send string) *tls.Conn {
		c, err := tls.Dial("tcp", tlsAddr.String(), &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, send)
		return c
	}
	for name, c := range map[string]struct{ send, want string }{
		"nothing": {}, "half a header": {send: "GET / HTTP/1.1\r\nHost: a.test\r\n"},
		"half a body":          {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nabc", "HTTP/1.1 408"},
		"idle after a request": {"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, c.send)
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			b, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(b), c.want) {
				t.Fatalf("%q, %v", b, err)
			}
		})
	}
	t.Run("reads nothing", func(t *testing.T) {
		t.Parallel()
		dial(t, "GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n")
		eventually(t, "the request runs", func() bool { return open(t, p, "r") == 1 })
		eventually(t, "the request is cut", func() bool { return open(t, p, "r") == 0 })
	})
}

func TestAnUnfinishedHandshakeIsCut(t *testing.T) {
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	p := start(t, proxy.Options{Certificates: newPocket(t, []string{"a.test"}),
		Limits: proxy.Limits{HeaderTime: 300 * time.Millisecond}})
	apply(t, p, secure(1, plain, tlsAddr, web(t, "r", nil), "a.test"))
	c, err := net.Dial("tcp", tlsAddr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte{22, 3, 1, 1}) // a record's beginning
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the connection is still open")
	}
}

func TestAWebSocketGoesThroughTLS(t *testing.T) {
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	p := start(t, proxy.Options{Certificates: newPocket(t, []string{"a.test"})})
	apply(t, p, secure(1, plain, tlsAddr, web(t, "r", echoWebSocket), "a.test"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "wss://a.test/", &websocket.DialOptions{HTTPClient: over(tlsAddr, false, "")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	for _, text := range []string{"hello", strings.Repeat("x", 20_000)} {
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != text {
			t.Fatalf("%d bytes came back as %d (%v)", len(text), len(got), err)
		}
	}
}

func TestASuccessorTakesOverTLS(t *testing.T) {
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	socket := filepath.Join(t.TempDir(), "s")
	first, second := newPocket(t, []string{"a.test"}), newPocket(t, []string{"a.test"})
	old := start(t, proxy.Options{Socket: socket, Certificates: first, Limits: proxy.Limits{StopTime: 5 * time.Second}})
	apply(t, old, secure(1, plain, tlsAddr, web(t, "r", nil), "a.test"))
	kept, fresh := over(tlsAddr, false, ""), over(tlsAddr, false, "")
	h2 := over(tlsAddr, true, "")
	fetch(t, kept, "https://a.test/")
	fetch(t, h2, "https://a.test/")
	start(t, proxy.Options{Socket: socket, Certificates: second, Limits: proxy.Limits{StopTime: 5 * time.Second}})
	eventually(t, "the successor serves", func() bool { return second.managed.Load() > 0 && first.resting.Load() })
	for _, c := range []*http.Client{kept, h2, fresh, kept, h2} {
		if resp, body := fetch(t, c, "https://a.test/"); body != "r" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
	}
	if second.resting.Load() {
		t.Error("the successor rests")
	}
}

func TestATableWithInvalidCertificatesIsRefused(t *testing.T) {
	p := start(t, proxy.Options{})
	good := secure(1, freeAddr(t), freeAddr(t), endpoint("r", "127.0.0.1:1"), "a.test")
	for what, spoil := range map[string]func(*rhumb.Table){
		"two certificates": func(t *rhumb.Table) { t.Certificates = append(t.Certificates, t.Certificates[0]) },
		"not a host name": func(t *rhumb.Table) {
			t.Certificates = []rhumb.Certificate{{Host: "a/../b", Source: rhumb.CertInternal}}
		},
		"not a hash": func(t *rhumb.Table) {
			t.Certificates = []rhumb.Certificate{{Host: "a.test", Source: rhumb.CertGiven, Given: "../key"}}
		},
		"unknown source": func(t *rhumb.Table) { t.Certificates = []rhumb.Certificate{{Host: "a.test"}} },
		"name a backend": func(t *rhumb.Table) {
			t.Listeners = []rhumb.Listener{{Addr: t.Listeners[1].Addr, Protocol: rhumb.HTTPS, Backend: "b"}}
		},
	} {
		bad := good
		spoil(&bad)
		if err := p.Apply(t.Context(), bad); rhumb.ErrorCode(err) != rhumb.Invalid ||
			!strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
