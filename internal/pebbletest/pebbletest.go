// Package pebbletest runs an ACME authority for tests: pebble, its DNS server, and in front of pebble a proxy that
// can make it misbehave.
package pebbletest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rhumb/internal/porttest"
)

// Options configure an authority.
type Options struct {
	Validity time.Duration // of its certificates; 0: 90 days
	Nonces   int           // percent of good nonces that it refuses
}

// Authority is an ACME authority that runs until its test ends.
type Authority struct {
	Directory string // the directory's URL
	Root      string // PEM of the certificate of its HTTPS
	HTTPPort  int    // where it looks for answers to HTTP-01
	TLSPort   int    // and to TLS-ALPN-01

	Requests atomic.Int64 // all requests
	Orders   atomic.Int64 // requests for new orders
	Placed   atomic.Int64 // new orders that were accepted
	Nonces   atomic.Int64 // nonces that were refused
	Dates    atomic.Int64 // answers whose Retry-After is a date
	Seconds  atomic.Int64 // answers whose Retry-After is in seconds
	away     atomic.Bool
	limited  atomic.Bool
}

// version is that of scripts/pebble.
const version = "v2.10.1"

// Start starts an authority. Without pebble it skips the test, or fails it where it must run.
func Start(t *testing.T, o Options) *Authority {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an ACME authority, and -short leaves that out")
	}
	bin, err := tools()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	a := &Authority{HTTPPort: porttest.Free(t), TLSPort: porttest.Free(t)}
	cert := selfSigned(t, dir)
	dns, listen, management := porttest.Free(t), porttest.Free(t), porttest.Free(t)
	run(t, dir, nil, filepath.Join(bin, "pebble-challtestsrv"), "-dnsserver", at(dns), "-http01", "", "-https01", "",
		"-tlsalpn01", "", "-doh", "",
		"-management", at(management), "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1")
	conf := a.config(dir, listen, o)
	env := append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0",
		"PEBBLE_WFE_NONCEREJECT="+strconv.Itoa(o.Nonces))
	run(t, dir, env, filepath.Join(bin, "pebble"), "-config", conf, "-dnsserver", at(dns))
	a.front(t, cert, listen)
	a.await(t, listen)
	return a
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// tools returns the folder with the programs.
var tools = sync.OnceValues(func() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	out, err := exec.Command(filepath.Join(root, "scripts", "pebble")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pebble can't be built: %w\n%s", err, out)
	}
	return filepath.Join(root, ".cache", "pebble", version), nil
})

func (a *Authority) config(dir string, listen int, o Options) string {
	validity := o.Validity
	if validity == 0 {
		validity = 90 * 24 * time.Hour
	}
	conf := map[string]any{"pebble": map[string]any{
		"listenAddress": at(listen), "managementListenAddress": "", "certificate": filepath.Join(dir, "cert.pem"),
		"privateKey": filepath.Join(dir, "key.pem"),
		"httpPort":   a.HTTPPort, "tlsPort": a.TLSPort, "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "all",
			"validityPeriod": int(validity.Seconds())}},
	}}
	b, err := json.Marshal(conf)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	path := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		panic(err)
	}
	return path
}

// run runs a program until the test ends. If the test fails, it logs the program's output.
func run(t *testing.T, dir string, env []string, program string, args ...string) {
	t.Helper()
	var out lockedBuffer
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s ends with:\n%s", filepath.Base(program), out.tail(4000))
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.b.Bytes()
	return string(b[max(0, len(b)-n):])
}

// Away makes the authority unreachable, or lets it come back.
func (a *Authority) Away(away bool) { a.away.Store(away) }

// Limited makes the authority refuse new orders because of a rate limit, or accept them again.
func (a *Authority) Limited(limited bool) { a.limited.Store(limited) }

// front is the proxy in front of pebble. It counts requests, can be away, and alternates between seconds and dates in
// Retry-After.
func (a *Authority) front(t *testing.T, cert tls.Certificate, listen int) {
	behind := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: at(listen)})
			r.Out.Host = r.In.Host // pebble derives its URLs from it
		},
		// it is our own, on this machine
		Transport:      &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		ModifyResponse: a.rewrite,
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Requests.Add(1)
		order := strings.Contains(r.URL.Path, "order-plz")
		if order {
			a.Orders.Add(1)
		}
		switch {
		case a.away.Load():
			panic(http.ErrAbortHandler)
		case order && a.limited.Load():
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w,
				`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many new orders","status":429}`)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	a.Directory = s.URL + "/dir"
	a.Root = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
}

func (a *Authority) rewrite(resp *http.Response) error {
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		if a.Dates.Load() <= a.Seconds.Load() {
			a.Dates.Add(1)
			resp.Header.Set("Retry-After", time.Now().Add(time.Duration(after)*time.Second).UTC().Format(http.TimeFormat))
		} else {
			a.Seconds.Add(1)
		}
	}
	if resp.StatusCode == http.StatusCreated && strings.Contains(resp.Request.URL.Path, "order-plz") {
		a.Placed.Add(1)
	}
	if resp.StatusCode == http.StatusBadRequest {
		b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte("badNonce")) {
			a.Nonces.Add(1)
		}
		resp.Body = io.NopCloser(bytes.NewReader(b))
	}
	return nil
}

func (a *Authority) await(t *testing.T, listen int) {
	t.Helper()
	for range 200 {
		c, err := net.DialTimeout("tcp", at(listen), time.Second)
		if err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("pebble does not listen")
}

// selfSigned returns a certificate for 127.0.0.1, and stores it in the folder.
func selfSigned(t *testing.T, dir string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem": {Type: "PRIVATE KEY", Bytes: b}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
