package proxyd

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"rhumb"
	"rhumb/certs"
	"rhumb/internal/pebbletest"
	"rhumb/internal/seal"
	"rhumb/internal/together"
	"rhumb/proxy"
)

// front is a proxy with a keeper of certificates, wired as in "rhumb proxy".
type front struct {
	t       *testing.T
	dir     string
	a       *pebbletest.Authority
	table   rhumb.Table
	times   certs.Times
	proxy   *proxy.Proxy
	keeper  *certs.Keeper
	stop    func()
	replica *httptest.Server
}

// newFront returns a front that serves the hosts once it is started.
func newFront(t *testing.T, a *pebbletest.Authority, hosts ...string) *front {
	t.Helper()
	f := &front{t: t, dir: t.TempDir(), a: a, times: certs.Times{Retry: 300 * time.Millisecond, Most: 2 * time.Second}}
	f.replica = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(f.replica.Close)
	f.table = rhumb.Table{Version: 1,
		Listeners: []rhumb.Listener{{Addr: local(a.HTTPPort), Protocol: rhumb.HTTP},
			{Addr: local(a.TLSPort), Protocol: rhumb.HTTPS}},
		Backends: []rhumb.Backend{{Name: "b", Endpoints: []rhumb.Endpoint{{Replica: "r", Release: 1,
			Addr: netip.MustParseAddrPort(f.replica.Listener.Addr().String())}}}},
		Authority: rhumb.Authority{Directory: a.Directory, Root: a.Root}}
	for _, h := range hosts {
		f.table.Rules = append(f.table.Rules, rhumb.Rule{Host: h, Backend: "b"})
		f.table.Certificates = append(f.table.Certificates,
			rhumb.Certificate{Host: h, Source: rhumb.CertACME, Stack: "s"})
	}
	return f
}

func local(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
}

// start runs the proxy until the test ends, or stop is called.
func (f *front) start() {
	f.t.Helper()
	box, err := seal.Open(filepath.Join(f.dir, "key"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.keeper = certs.New(certs.Options{Dir: filepath.Join(f.dir, "certs"), Box: box, Times: f.times,
		Log: slog.New(slog.NewTextHandler(f.t.Output(), nil))})
	f.proxy, err = proxy.New(proxy.Options{Certificates: f.keeper})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- together.Run(ctx, f.proxy.Run, f.keeper.Run) }()
	f.stop = func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
		f.stop = func() {}
	}
	f.t.Cleanup(func() { f.stop() })
	if err := f.proxy.Apply(f.t.Context(), f.table); err != nil {
		f.t.Fatal(err)
	}
}

// await waits until the status of all certificates is as wanted.
func (f *front) await(limit time.Duration, what string, ok func(rhumb.CertificateStatus) bool) {
	f.t.Helper()
	late, tick := time.After(limit), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		left := 0
		var example rhumb.CertificateStatus
		for _, s := range f.keeper.Status() {
			if !ok(s) {
				left++
				example = s
			}
		}
		if left == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			f.t.Fatalf("%s: not within %s for %d, such as %+v", what, limit, left, example)
		}
	}
}

// awaitFailures waits until orders have failed at n different times.
func (f *front) awaitFailures(n int) {
	f.t.Helper()
	failed := map[time.Time]bool{}
	f.await(30*time.Second, "failures", func(s rhumb.CertificateStatus) bool {
		if !s.Failed.IsZero() {
			failed[s.Failed] = true
		}
		return len(failed) >= n
	})
}

func there(s rhumb.CertificateStatus) bool { return s.Issuer != "" && s.Error == "" }

// shown returns what a client of the host sees in its handshake.
func (f *front) shown(host string) (*tls.ConnectionState, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", local(f.a.TLSPort).String(),
		&tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	st := c.ConnectionState()
	return &st, st.PeerCertificates[0].VerifyHostname(host)
}

func names(n int) []string {
	hosts := make([]string, n)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("shop%02d.rhumb.dev", i)
	}
	return hosts
}

// certmagic limits itself to ten orders in ten seconds, which these tests would only wait for.
func init() { certmagic.RateLimitEvents, certmagic.RateLimitEventsWindow = 1000, time.Second }

func TestEachChallengeAloneGetsACertificate(t *testing.T) {
	t.Parallel()
	a := pebbletest.Start(t, pebbletest.Options{})
	for i, name := range []string{"HTTP-01", "TLS-ALPN-01"} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, a, fmt.Sprintf("alone%d.rhumb.dev", i))
			f.table.Listeners = f.table.Listeners[i : i+1]
			f.start()
			f.await(20*time.Second, "a certificate", there)
		})
	}
}

func TestFiftyNamesGetCertificatesFromAnUnreliableAuthority(t *testing.T) {
	t.Parallel()
	a := pebbletest.Start(t, pebbletest.Options{Nonces: 15})
	f := newFront(t, a, names(50)...)
	a.Away(true)
	f.start()
	f.awaitFailures(3)
	away := a.Requests.Load()
	if away > 60 {
		t.Errorf("the authority was asked %d times until 3 failures: that is a storm", away)
	}
	a.Away(false)
	began := time.Now()
	f.await(90*time.Second, "50 certificates", there)
	t.Logf("50 certificates %.1f s after the authority came back; %d requests while it was away; "+
		"%d orders taken, %d nonces refused, Retry-After %d times a date, %d times seconds",
		time.Since(began).Seconds(), away, a.Placed.Load(), a.Nonces.Load(), a.Dates.Load(), a.Seconds.Load())
	if n := a.Placed.Load(); n > 55 {
		t.Errorf("%d orders for 50 names", n)
	}
	if a.Nonces.Load() == 0 || a.Dates.Load() == 0 || a.Seconds.Load() == 0 {
		t.Error("the authority was too reliable: nothing was tried")
	}
	for _, h := range names(50) {
		if st, err := f.shown(h); err != nil || st.Version != tls.VersionTLS13 {
			t.Errorf("%s: %v", h, err)
		}
	}
	before := a.Orders.Load()
	f.stop()
	f.start() // it has the certificates already
	f.await(5*time.Second, "certificates after a restart", there)
	if n := a.Orders.Load() - before; n != 0 {
		t.Errorf("%d orders after a restart", n)
	}
}

func TestFailuresAreRememberedAcrossRestarts(t *testing.T) {
	t.Parallel()
	a := pebbletest.Start(t, pebbletest.Options{})
	f := newFront(t, a, names(50)...)
	f.times = certs.Times{Retry: time.Hour}
	a.Limited(true)
	f.start()
	f.await(10*time.Second, "the limit of the authority",
		func(s rhumb.CertificateStatus) bool { return s.Next.After(time.Now()) })
	for range 5 {
		f.stop()
		f.start()
		f.await(10*time.Second, "the limit from before the restart", func(s rhumb.CertificateStatus) bool {
			return s.Next.After(time.Now())
		})
	}
	if n := a.Orders.Load(); n > 4 {
		t.Errorf("%d orders although the authority has said that they are too many", n)
	}
}

func TestTheOldCertificateServesWhileItsRenewalFails(t *testing.T) {
	t.Parallel()
	const life = 12 * time.Second
	a := pebbletest.Start(t, pebbletest.Options{Validity: life})
	f := newFront(t, a, "renewed.rhumb.dev")
	f.start()
	f.await(10*time.Second, "a certificate", there)
	first := f.keeper.Status()[0].NotAfter
	f.await(life, "a renewed certificate", func(s rhumb.CertificateStatus) bool { return s.NotAfter.After(first) })
	second := f.keeper.Status()[0]
	a.Away(true)
	f.await(life, "a failed renewal", func(s rhumb.CertificateStatus) bool { return s.Error != "" })
	if s := f.keeper.Status()[0]; !s.NotAfter.Equal(second.NotAfter) || s.Issuer == "" {
		t.Errorf("the old certificate isn't kept: %+v", s)
	}
	if st, err := f.shown("renewed.rhumb.dev"); err != nil || !st.PeerCertificates[0].NotAfter.Equal(second.NotAfter) {
		t.Errorf("the old certificate isn't shown: %v", err)
	}
	a.Away(false)
	f.await(life, "a renewal after all",
		func(s rhumb.CertificateStatus) bool { return s.NotAfter.After(second.NotAfter) && s.Error == "" })
}

func TestADamagedCertificateIsSetAsideAndReplaced(t *testing.T) {
	t.Parallel()
	a := pebbletest.Start(t, pebbletest.Options{})
	f := newFront(t, a, names(2)...)
	f.start()
	f.await(20*time.Second, "certificates", there)
	f.stop()
	paths, err := filepath.Glob(filepath.Join(f.dir, "certs", "values", "certificates", "*", "shop00*", "*.crt"))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	b, err := os.ReadFile(paths[0])
	if err == nil {
		b[len(b)-1] ^= 1
		err = os.WriteFile(paths[0], b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.start()
	f.await(10*time.Second, "certificates again", there)
	if n := a.Placed.Load(); n != 3 {
		t.Errorf("%d orders for 2 names, one of them twice", n)
	}
	kept, err := filepath.Glob(filepath.Join(f.dir, "certs", "damaged", "shop00*", "*.crt"))
	if err != nil || len(kept) != 1 {
		t.Fatal("it is not kept:", kept, err)
	}
	if now, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(now, b) {
		t.Errorf("it was changed (%v)", err)
	}
}

func TestAHostThatFailsDoesNotHoldUpOtherCertificates(t *testing.T) {
	t.Parallel()
	a := pebbletest.Start(t, pebbletest.Options{})
	f := newFront(t, a, append(names(3), "bad-"+strings.Repeat("x", 60)+".rhumb.dev")...) // a label of 64 letters
	f.start()
	f.await(20*time.Second, "certificates for the good ones", func(s rhumb.CertificateStatus) bool {
		return there(s) || strings.HasPrefix(s.Host, "bad-") && s.Error != ""
	})
}
