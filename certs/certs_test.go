package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// run runs a keeper until the test ends, or the function is called.
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

func awaitHost(t *testing.T, k *Keeper, ok func(rhumb.CertificateStatus) bool) rhumb.CertificateStatus {
	t.Helper()
	for range 500 {
		for _, s := range k.Status() {
			if ok(s) {
				return s
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 5 s: %+v", k.Status())
	return rhumb.CertificateStatus{}
}

func tableOf(cs ...rhumb.Certificate) rhumb.Table {
	return rhumb.Table{Certificates: cs, Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:1"), Protocol: rhumb.HTTP}}}
}

func hello(name string) *tls.ClientHelloInfo { return &tls.ClientHelloInfo{ServerName: name} }

func TestStorageKeepsValuesSealedAndInItsFolder(t *testing.T) {
	dir := t.TempDir()
	s, ctx := newStorage(filepath.Join(dir, "certs"), newBox(t, dir)), t.Context()
	if _, err := s.Load(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing value: %v", err)
	}
	for _, k := range []string{"a/b", "a/c/d", "x"} {
		if err := s.Store(ctx, k, []byte("a canary of "+k)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Load(ctx, "a/c/d"); err != nil || string(b) != "a canary of a/c/d" {
		t.Errorf("got %q %v", b, err)
	}
	flat, err := s.List(ctx, "a", false)
	if want := []string{"a/b", "a/c"}; err != nil || !slices.Equal(flat, want) {
		t.Errorf("got %v %v, want %v", flat, err, want)
	}
	if i, err := s.Stat(ctx, "a/b"); err != nil || !i.IsTerminal || i.Modified.IsZero() {
		t.Errorf("got %+v %v", i, err)
	}
	for _, bad := range []string{"../x", "a/../../x", "/etc/x", "a\x00"} {
		if err := s.Store(ctx, bad, nil); err == nil {
			t.Errorf("%q was stored", bad)
		}
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil || bytes.Contains(b, []byte("canary")) {
				t.Errorf("%s holds a value in clear (%v)", path, err)
			}
			if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s may be read by others", path)
			}
		}
		return err
	})
	if err := s.Delete(ctx, "a"); err != nil || s.Exists(ctx, "a/c/d") || !s.Exists(ctx, "x") {
		t.Errorf("delete: %v", err)
	}
	if err != nil {
		t.Error(err)
	}
}

// A registration that was cut off leaves its account's key; the next order must not take the folder's name for somebody's address.
func TestNobodyIsGuessedFromAnAccountThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	s, ctx := newStorage(filepath.Join(dir, "certs"), newBox(t, dir)), t.Context()
	key := "acme/authority/users/default/default.key"
	if err := s.Store(ctx, key, []byte("key")); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.List(ctx, "acme/authority/users", false); !errors.Is(err, fs.ErrNotExist) || len(keys) > 0 {
		t.Errorf("accounts to choose from: %v, %v", keys, err)
	}
	if b, err := s.Load(ctx, key); err != nil || string(b) != "key" {
		t.Errorf("the account is lost: %q, %v", b, err)
	}
}

func TestALockHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	box := newBox(t, dir)
	one, other := newStorage(dir, box), newStorage(dir, box) // as two processes have them
	if err := one.Lock(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for _, s := range []*storage{one, other} {
		if err := s.Lock(late, "shop"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second holder: %v", err)
		}
	}
	if err := other.Lock(t.Context(), "blog"); err != nil {
		t.Errorf("another name: %v", err)
	}
	if err := one.Unlock(t.Context(), "shop"); err != nil {
		t.Error(err)
	}
	if err := other.Lock(t.Context(), "shop"); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
	if one.Unlock(t.Context(), "shop") == nil {
		t.Error("what isn't locked was unlocked")
	}
}

func TestTheInternalAuthorityGivesCertificatesThatItsRootVouchesFor(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: filepath.Join(dir, "certs"), Box: newBox(t, dir)}
	k := New(o)
	stop := run(t, k)
	spec := []rhumb.Certificate{{Host: "app.internal", Source: rhumb.CertInternal}, {Host: "*.lan", Source: rhumb.CertInternal}}
	k.Manage(tableOf(spec...))
	st := awaitHost(t, k, func(s rhumb.CertificateStatus) bool { return s.Host == "app.internal" && s.Issuer != "" })
	if life := st.NotAfter.Sub(st.NotBefore); life > 90*24*time.Hour || !st.Next.After(time.Now()) || !st.Next.Before(st.NotAfter) {
		t.Errorf("it lives for %s, and is renewed %s", life, st.Next)
	}
	awaitHost(t, k, func(s rhumb.CertificateStatus) bool { return s.Host == "*.lan" && s.Issuer != "" })
	root, err := OpenStore(o.Dir, o.Box).Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(root))
	for _, name := range []string{"app.internal", "APP.internal.", "printer.lan"} {
		c, err := k.Certificate(hello(name))
		if err != nil || c == nil {
			t.Fatalf("%s: %v %v", name, c, err)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: strings.ToLower(strings.TrimSuffix(name, "."))}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "lan", "a.b.lan", "other.internal"} {
		if c, err := k.Certificate(hello(name)); c != nil || err != nil {
			t.Errorf("%q has a certificate (%v)", name, err)
		}
	}
	before, _ := k.Certificate(hello("app.internal"))
	stop()
	k = New(o)
	k.Manage(tableOf(spec...))
	after, _ := k.Certificate(hello("app.internal")) // without Run: from the disk
	if after == nil || !after.Leaf.Equal(before.Leaf) {
		t.Error("another certificate after a restart")
	}
}

func TestADamagedRootIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	s := OpenStore(dir, newBox(t, dir))
	if _, err := s.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	path, err := s.storage.path(rootKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Root(t.Context()); rhumb.ErrorCode(err) != rhumb.Internal {
		t.Errorf("got %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
		t.Error("the file was written")
	}
}

func TestARootTooLongToBeOneIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	s := OpenStore(dir, newBox(t, dir))
	path, err := s.storage.path(rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, maxValue+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Root(t.Context()); rhumb.ErrorCode(err) != rhumb.Internal {
		t.Errorf("got %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != maxValue+1 {
		t.Error("the file was written")
	}
}

func TestWhatAnAuthorityGivesThatIsNotAskedAnyMoreServesUntilTheOtherHasGivenOne(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	table := tableOf(rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertACME})
	from := func(directory string) *client {
		table.Authority = rhumb.Authority{Directory: directory}
		k.Manage(table)
		t.Cleanup(k.client.Load().close)
		return k.client.Load()
	}
	old := from("https://old.test/dir")
	next := from("https://new.test/dir") // while the old one is being asked
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
	k.obtained(h, h.spec, cert, old)
	if !k.Good("shop.example.com") || k.due(h).After(time.Now()) {
		t.Errorf("it is served: %v, and the other is asked %s", k.Good("shop.example.com"), k.due(h))
	}
	k.obtained(h, h.spec, cert, next)
	if !k.due(h).After(time.Now()) {
		t.Errorf("it is asked again %s", k.due(h))
	}
}

func TestWhatIsDueIsNotDueSinceLongAgo(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	k.Manage(tableOf(rhumb.Certificate{Host: "app.internal", Source: rhumb.CertInternal}, rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertACME}))
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
	k.Manage(tableOf(spec))
	first, _ := k.Certificate(hello("shop.example.com"))
	if first == nil || !k.Good("shop.example.com") {
		t.Fatal("it isn't served")
	}
	spec.Given = "bb"
	k.Manage(tableOf(spec)) // before the pair is there: the old one serves
	if c, _ := k.Certificate(hello("shop.example.com")); c != first {
		t.Error("the old pair isn't kept")
	}
	if err := store.KeepPair(t.Context(), "bb", pairs[1]); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if c, _ := k.Certificate(hello("shop.example.com")); c != first {
			if k.Manage(tableOf()); k.Good("shop.example.com") {
				t.Error("a host that left is still served")
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the new pair isn't served")
}

func TestAPairThatIsNoneIsRefused(t *testing.T) {
	s := OpenStore(t.TempDir(), newBox(t, t.TempDir()))
	for _, b := range []string{"", "x", string(pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: []byte("x")}))} {
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

func TestAFailureIsBlamedOnWhomItIsAbout(t *testing.T) {
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
	k.Manage(tableOf(rhumb.Certificate{Host: "app.internal", Source: rhumb.CertInternal}))
	if err := k.Run(t.Context()); err != nil || len(k.Status()) != 0 {
		t.Errorf("got %v, %v", err, k.Status())
	}
}
