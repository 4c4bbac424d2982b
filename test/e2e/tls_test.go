package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const tlsStack = `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${RELEASE:-1}"}
    x-rhumb:
      routes: [{host: app.internal, port: 8000}]
      tls: {from: internal, hsts: 180d}
      ready: {http: /health, port: 8000}
  shop:
    image: rhumb-test/app:1
    x-rhumb:
      routes: [{host: shop.example.com, port: 8000}]
      tls: {cert: shop.crt, key: shop.key}
      ready: {http: /health, port: 8000}
  quiet:
    image: rhumb-test/app:1
    x-rhumb:
      routes: [{host: quiet.internal, port: 8000}]
      ready: {http: /health, port: 8000}
`

// newTLSServer starts a server with an entry over TLS, and without an authority on the internet.
func newTLSServer(t *testing.T) *server {
	s := idleServer(t, binary)
	s.https, s.flags = freePort(t), []string{"--acme-ca", "off"}
	s.start()
	s.await()
	return s
}

// givenPair makes a certificate for a host as a user would have it, and gives it with its key.
func givenPair(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(30 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

// clientOf gives a client that finds all hosts at the server, trusts the roots, and follows no redirects.
func (s *server) clientOf(http2 bool, roots ...[]byte) *http.Client {
	pool := x509.NewCertPool()
	for _, r := range roots {
		pool.AppendCertsFromPEM(r)
	}
	p := new(http.Protocols)
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, Protocols: p,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		}}
	return &http.Client{Transport: t, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func ask(c *http.Client, url string) (*http.Response, string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp, string(b), err
}

func TestHostsAreServedOverTLS(t *testing.T) {
	needDocker(t)
	s := newTLSServer(t)
	k := newStack(t, s, tlsStack)
	cert, key := givenPair(t, "shop.example.com")
	k.write("shop.crt", string(cert))
	k.write("shop.key", string(key))
	began := time.Now()
	k.must(0, "deploy")
	root := s.rhumb("", "ca")
	if root.code != 0 || !strings.HasPrefix(root.out, "-----BEGIN CERTIFICATE-----") {
		t.Fatalf("rhumb ca: %+v", root)
	}
	plain, h2 := s.clientOf(false, []byte(root.out), cert), s.clientOf(true, []byte(root.out), cert)
	secure := func(host, path string) string { return fmt.Sprintf("https://%s:%d%s", host, s.https, path) }
	eventually(t, 10*time.Second, "all hosts have certificates", func() error {
		for _, h := range []string{"app.internal", "shop.example.com", "quiet.internal"} {
			if _, _, err := ask(plain, secure(h, "/")); err != nil {
				return err
			}
		}
		return nil
	})
	for name, c := range map[string]*http.Client{"HTTP/1.1": plain, "HTTP/2.0": h2} {
		resp, _, err := ask(c, secure("app.internal", "/"))
		if err != nil || resp.StatusCode != http.StatusOK || resp.Proto != name {
			t.Fatalf("%s: %v %v", name, resp, err)
		}
		if got := resp.Header.Get("Strict-Transport-Security"); got != "max-age=15552000" {
			t.Errorf("%s: HSTS is %q", name, got)
		}
		if resp, _, err := ask(c, secure("shop.example.com", "/")); err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: the given pair: %v %v", name, resp, err)
		}
	}
	for host, want := range map[string]int{"app.internal": 308, "shop.example.com": 308, "quiet.internal": 200} {
		resp, _, err := ask(plain, fmt.Sprintf("http://%s:%d/a%%2fb?x=1&y", host, s.entry))
		if err != nil || resp.StatusCode != want {
			t.Errorf("HTTP at %s: %v %v, want %d", host, resp, err, want)
		} else if to := resp.Header.Get("Location"); want == 308 && to != secure(host, "/a%2fb?x=1&y") {
			t.Errorf("HTTP at %s leads to %s", host, to)
		}
	}
	if _, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.https), &tls.Config{ServerName: "other.internal", InsecureSkipVerify: true}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("an unknown name: %v", err)
	}
	var list []struct{ Host, Source, Issuer string }
	if r := k.s.rhumb("", "certs", "--format", "json"); r.code != 0 || json.Unmarshal([]byte(r.out), &list) != nil || len(list) != 3 || list[0].Source != "internal" || list[2].Source != "given" {
		t.Errorf("rhumb certs: %+v", r)
	}
	noKeyIn(t, k, key, began)
	noneLost(t, k, plain, h2, secure("app.internal", "/"))
}

// noneLost deploys three times under load over TLS.
func noneLost(t *testing.T, k *stack, plain, h2 *http.Client, url string) {
	t.Helper()
	var sent, failed atomic.Int64
	var first atomic.Value
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for i, c := range []*http.Client{plain, h2, plain, h2} {
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if i > 1 && n%5 == 0 {
					c.CloseIdleConnections() // and a new handshake
				}
				resp, body, err := ask(c, url)
				sent.Add(1)
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
					first.CompareAndSwap(nil, fmt.Sprintf("%v %v %.200s", err, resp, body))
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for n := 2; n <= 4; n++ {
		k.env = []string{fmt.Sprintf("RELEASE=%d", n)}
		k.must(0, "deploy")
	}
	stop()
	work.Wait()
	t.Logf("%d requests over TLS across 3 deployments, %d failed", sent.Load(), failed.Load())
	if failed.Load() > 0 || sent.Load() < 200 {
		t.Errorf("the first failure: %v", first.Load())
	}
}

// noKeyIn looks for private keys in all files of the server's that have changed, and in its answers.
func noKeyIn(t *testing.T, k *stack, key []byte, since time.Time) {
	t.Helper()
	block, _ := pem.Decode(key)
	body := base64.StdEncoding.EncodeToString(block.Bytes)
	needles := [][]byte{[]byte("PRIVATE KEY-----"), block.Bytes[len(block.Bytes)-60:], []byte(body[40:100])}
	files := 0
	for _, dir := range []string{filepath.Dir(k.s.data), "/run/rhumb"} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil // it has gone, or is a socket
			}
			if info, err := e.Info(); err != nil || info.ModTime().Before(since.Add(-time.Minute)) {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			files++
			for _, n := range needles {
				if bytes.Contains(b, n) {
					t.Errorf("%s has a private key in clear", path)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, args := range [][]string{{"releases", "--format", "json"}, {"routes", "--format", "json"}, {"certs"}, {"ca"}, {"plan"}, {"config"}, {"events"}} {
		r := k.rhumb(args[0], args[1:]...)
		if args[0] == "certs" || args[0] == "ca" || args[0] == "routes" {
			r = k.s.rhumb("", args...)
		}
		for _, n := range needles {
			if bytes.Contains([]byte(r.out), n) {
				t.Errorf("rhumb %v shows a private key", args)
			}
		}
	}
	if files < 10 {
		t.Errorf("only %d files were looked at", files)
	}
}
