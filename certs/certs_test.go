package certs

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"rhumb"
	"rhumb/internal/seal"
)

func newBox(t *testing.T, dir string) *seal.Box {
	t.Helper()
	box, err := seal.Open(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// run runs a keeper until the test ends, or the returned function is called.
func run(t *testing.T, k *Keeper) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = k.Run(ctx)
	}()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// awaitHost waits until a host's status is as wanted, and returns it.
func awaitHost(t *testing.T, k *Keeper, ok func(rhumb.CertificateStatus) bool) (found rhumb.CertificateStatus) {
	t.Helper()
	eventually(t, func() bool {
		i := slices.IndexFunc(k.Status(), ok)
		if i >= 0 {
			found = k.Status()[i]
		}
		return i >= 0
	})
	return found
}

// eventually waits until is returns true.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	late, tick := time.After(5*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("not within 5 s")
		}
	}
}

func tableOf(cs ...rhumb.Certificate) rhumb.Table {
	return rhumb.Table{Certificates: cs, Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:1"),
		Protocol: rhumb.HTTP}}}
}

func hello(name string) *tls.ClientHelloInfo { return &tls.ClientHelloInfo{ServerName: name} }

func TestAFormerAuthoritysCertificateServesUntilTheNextOne(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	table := tableOf(rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertACME})
	from := func(directory string) *client {
		table.Authority = rhumb.Authority{Directory: directory}
		k.Manage(t.Context(), table)
		t.Cleanup(k.acme.client.Load().close)
		return k.acme.client.Load()
	}
	old := from("https://old.test/dir")
	next := from("https://new.test/dir") // while an order at the old one is under way
	a, _, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.issue("shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := parsePair(pair)
	if err != nil {
		t.Fatal(err)
	}
	h := k.hosts["shop.example.com"]
	k.obtained(t.Context(), h, h.spec, cert, old)
	if !k.Good("shop.example.com") || k.due(h).After(time.Now()) {
		t.Errorf("the certificate is served: %v, and the new authority is asked %s", k.Good("shop.example.com"),
			k.due(h))
	}
	k.obtained(t.Context(), h, h.spec, cert, next)
	if !k.due(h).After(time.Now()) {
		t.Errorf("the new authority is asked again %s", k.due(h))
	}
}

func TestTheNextAttemptIsNotLongAgo(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	k.Manage(t.Context(), tableOf(rhumb.Certificate{Host: "app.internal", Source: rhumb.CertInternal},
		rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertACME}))
	before := time.Now()
	st := k.Status()
	if next := st[0].Next; next.Before(before.Add(-time.Minute)) || next.After(time.Now()) {
		t.Errorf("the next attempt is %s", next)
	}
	if next := st[1].Next; !next.IsZero() {
		t.Errorf("without an authority the next attempt is %s", next)
	}
}

func TestAGivenPairServesAndANewOneTakesItsPlace(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: filepath.Join(dir, "certs"), Box: newBox(t, dir), Times: Times{Retry: 50 * time.Millisecond}}
	store, k := OpenStore(o.Dir, o.Box), New(o)
	run(t, k)
	a, _, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pairs := [2][]byte{}
	for i := range pairs {
		if pairs[i], err = a.issue("shop.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.KeepPair(t.Context(), "aa", pairs[0]); err != nil {
		t.Fatal(err)
	}
	spec := rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertGiven, Given: "aa"}
	k.Manage(t.Context(), tableOf(spec))
	first, _ := k.Certificate(hello("shop.example.com"))
	if first == nil || !k.Good("shop.example.com") {
		t.Fatal("the pair isn't served")
	}
	spec.Given = "bb"
	k.Manage(t.Context(), tableOf(spec)) // before the pair is there: the old one serves
	if c, _ := k.Certificate(hello("shop.example.com")); c != first {
		t.Error("the old pair isn't kept")
	}
	if err := store.KeepPair(t.Context(), "bb", pairs[1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		c, _ := k.Certificate(hello("shop.example.com"))
		return c != first
	})
	if k.Manage(t.Context(), tableOf()); k.Good("shop.example.com") {
		t.Error("a host that left is still served")
	}
}

func TestAFormerAuthoritysCertificateServesAfterARestart(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	a, _, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.issue("shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{certmagic.StorageKeys.SiteCert("old", "shop.example.com"),
		certmagic.StorageKeys.SitePrivateKey("old", "shop.example.com")} {
		if err := k.storage.Store(t.Context(), key, pair); err != nil {
			t.Fatal(err)
		}
	}
	table := tableOf(rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertACME})
	table.Authority = rhumb.Authority{Directory: "https://new.test/dir"}
	k.Manage(t.Context(), table)
	t.Cleanup(k.acme.client.Load().close)
	if h := k.hosts["shop.example.com"]; !k.Good("shop.example.com") || k.due(h).After(time.Now()) {
		t.Errorf("the certificate is served: %v, and the new authority is asked %s", k.Good("shop.example.com"),
			k.due(h))
	}
}

func TestAMalformedPairIsRefused(t *testing.T) {
	s := OpenStore(t.TempDir(), newBox(t, t.TempDir()))
	for _, b := range []string{"", "x", string(pem.EncodeToMemory(&pem.Block{Type: certificateType,
		Bytes: []byte("x")}))} {
		if err := s.KeepPair(t.Context(), "aa", []byte(b)); rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestWaitsGrowAndHaveALimit(t *testing.T) {
	times := DefaultTimes()
	now := time.Now()
	var tr trial
	var last time.Duration
	inAnHour, at := 1, now
	for n := range 20 {
		tr = tr.failed(at, errors.New("x"), times)
		wait := tr.Next.Sub(at)
		if want := min(times.Retry*time.Duration(pow3(n)), times.Most); wait < want*4/5 || wait > want*6/5 {
			t.Errorf("wait %d is %s, want about %s", n+1, wait, want)
		}
		if at = tr.Next; at.Sub(now) < time.Hour {
			inAnHour++
		}
		last = wait
	}
	if inAnHour > 5 || last > times.Most*6/5 {
		t.Errorf("%d tries in an hour, the last wait %s", inAnHour, last)
	}
}

func pow3(n int) int64 {
	p := int64(1)
	for range min(n, 12) {
		p *= 3
	}
	return p
}

func TestAFailureIsBlamedOnItsCause(t *testing.T) {
	for _, c := range []struct {
		err  error
		want blame
	}{
		{errors.New("connection refused"), ofAuthority},
		{acme.Problem{Type: acme.ProblemTypeConnection, Status: 400}, ofHost},
		{fmt.Errorf("wrapped: %w", acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403}), ofHost},
		{acme.Problem{Type: acme.ProblemTypeServerInternal, Status: 500}, ofAuthority},
		{acme.Problem{Status: 503}, ofAuthority},
		{acme.Problem{Type: acme.ProblemTypeRateLimited, Status: 429}, ofRate},
		{acme.Problem{Type: acme.ProblemTypeAccountDoesNotExist, Status: 400}, ofAuthority},
	} {
		if got := blameFor(c.err); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}

func TestAReasonIsOneLineWithoutControls(t *testing.T) {
	long := strings.Repeat("é", maxReason)
	for _, c := range []struct{ detail, want string }{
		{"no\n  answer\x1b[31m\r\n", "no answer [31m"},
		{"x" + long, "x" + long[:maxReason-2]},
	} {
		if got := reason(acme.Problem{Detail: c.detail}); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestRenewalIsDueWhenAThirdIsLeft(t *testing.T) {
	from := time.Now()
	until := from.Add(90 * 24 * time.Hour)
	for _, chance := range []float64{0, 0.5, 1} {
		left := until.Sub(renewAt(from, until, chance))
		if left > 30*24*time.Hour || left < 26*24*time.Hour {
			t.Errorf("at %v there are %s left", chance, left)
		}
	}
}

func TestAKeeperThatRestsOrdersNothing(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	k.Rest()
	k.Manage(t.Context(), tableOf(rhumb.Certificate{Host: "app.internal", Source: rhumb.CertInternal}))
	if err := k.Run(t.Context()); err != nil || len(k.Status()) != 0 {
		t.Errorf("got %v, %v", err, k.Status())
	}
}
