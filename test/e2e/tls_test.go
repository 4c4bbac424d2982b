package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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

	"rhumb/internal/pebbletest"
	"rhumb/internal/porttest"
	"rhumb/internal/seal"
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
	s.https, s.flags = porttest.Free(t), []string{"--acme-ca", "off"}
	s.start()
	s.await()
	return s
}

// givenPair creates a certificate for a host, as a user would have it, and returns it with its key.
func givenPair(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	return pairUntil(t, host, time.Now().Add(30*24*time.Hour))
}

// pairUntil is givenPair with a time at which the certificate expires.
func pairUntil(t *testing.T, host string, expires time.Time) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  expires, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

// clientOf returns a client that reaches all hosts at the server, trusts the roots, and follows no redirects.
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
	return &http.Client{Transport: t, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
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
	t.Parallel()
	needDocker(t)
	s := newTLSServer(t)
	k := newStack(t, s, tlsStack)
	cert, key := givenPair(t, "shop.example.com")
	k.write("shop.crt", string(cert))
	k.write("shop.key", string(key))
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
		if resp, _, err := ask(c, secure("shop.example.com", "/")); err != nil || resp.StatusCode != http.StatusOK ||
			resp.Header.Get("Strict-Transport-Security") != "" {
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
	if _, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.https),
		&tls.Config{ServerName: "other.internal", InsecureSkipVerify: true}); err == nil ||
		!strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("an unknown name: %v", err)
	}
	var list []struct{ Host, Source, Issuer string }
	if r := k.s.rhumb("", "certs", "--format", "json"); r.code != 0 || json.Unmarshal([]byte(r.out), &list) != nil ||
		len(list) != 3 || list[0].Source != "internal" || list[2].Source != "given" {
		t.Errorf("rhumb certs: %+v", r)
	}
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

// numberOf returns the secret of a private key in PEM.
func numberOf(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	var private any
	var err error
	if block.Type == "EC PRIVATE KEY" {
		private, err = x509.ParseECPrivateKey(block.Bytes)
	} else {
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		t.Fatal(err)
	}
	number, err := private.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// sealed makes canaries of the server's own key and of all private keys that are sealed with it. Those of the kinds
// must be there.
func (v *vaultStack) sealed(kinds ...string) {
	v.t.Helper()
	path := filepath.Join(v.s.data, "key")
	box, err := seal.Open(path)
	if err != nil {
		v.t.Fatal(err)
	}
	_, own, _ := strings.Cut(string(v.s.content(path)), "AGE-SECRET-KEY-")
	v.all = append(v.all,
		&canary{what: "the server's key", own: "key", needles: append(faces([]byte(own[:40])), []byte(own[:40]))})
	values := filepath.Join(v.s.data, "certs", "values")
	found := map[string]bool{}
	err = filepath.WalkDir(values, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		plain, err := box.Open(v.s.content(path))
		if err != nil {
			return err
		}
		name, err := filepath.Rel(values, path)
		for block, rest := pem.Decode(plain); block != nil; block, rest = pem.Decode(rest) {
			if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
				continue
			}
			found[strings.Split(name, "/")[0]] = true
			if v.in(plain) == nil { // it is not a canary yet
				v.key("the key in "+name, numberOf(v.t, pem.EncodeToMemory(block)))
			}
		}
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
	for _, kind := range kinds {
		if !found[kind] {
			v.t.Errorf("there is no key among those that are %s", kind)
		}
	}
}

const authorityStack = `
services:
  app:
    image: rhumb-test/app:1
    environment: {TOKEN: "${TOKEN}"}
    x-rhumb: {routes: [{host: shop.rhumb.dev, port: 8000}, {host: shop.internal, port: 8000}]}
`

// The account with an authority, what it vouches for, the internal authority and what it signs. Costs about 12 s.
func TestKeysThatRhumbMakesAreNowhereInClear(t *testing.T) {
	t.Parallel()
	needDocker(t)
	a := pebbletest.Start(t, pebbletest.Options{})
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, []byte(a.Root), 0o600); err != nil {
		t.Fatal(err)
	}
	s := idleServer(t, binary)
	s.entry, s.https, s.flags = a.HTTPPort, a.TLSPort, []string{"--acme-ca", a.Directory, "--acme-root", root}
	s.start()
	s.await()
	v := &vaultStack{stack: newStack(t, s, authorityStack), aviary: &aviary{t: t}, start: time.Now(), t: t}
	v.env = []string{"TOKEN=" + v.variable("a variable")}
	v.must(0, "deploy")
	eventually(t, 20*time.Second, "both hosts have certificates", func() error {
		var list []struct{ Host, Issuer, Error string }
		if err := json.Unmarshal([]byte(s.must(0, "certs", "--format", "json")), &list); err != nil || len(list) != 2 ||
			list[0].Issuer == "" || list[1].Issuer == "" {
			return fmt.Errorf("%+v %v", list, err)
		}
		return nil
	})
	v.sealed("acme", "certificates", "internal")
	v.run(0, "deploy")
	v.api()
	v.backedUp()
	v.everywhere()
}
