package certs

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestTheInternalAuthoritysRootVerifiesItsCertificates(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: filepath.Join(dir, "certs"), Box: newBox(t, dir)}
	k := New(o)
	stop := run(t, k)
	spec := []rhumb.Certificate{{Host: "app.internal", Source: rhumb.CertInternal},
		{Host: "*.lan", Source: rhumb.CertInternal}}
	k.Manage(t.Context(), tableOf(spec...))
	st := awaitHost(t, k, func(s rhumb.CertificateStatus) bool { return s.Host == "app.internal" && s.Issuer != "" })
	if life := st.NotAfter.Sub(st.NotBefore); life > 90*24*time.Hour || !st.Next.After(time.Now()) ||
		!st.Next.Before(st.NotAfter) {
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
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool,
			DNSName: strings.ToLower(strings.TrimSuffix(name, "."))}); err != nil {
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
	k.Manage(t.Context(), tableOf(spec...))
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

func TestAnOversizedRootIsNotReplaced(t *testing.T) {
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

func TestARootNearItsEndIsReplacedWithItsLeaves(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	old, pair, err := newAuthority(time.Now().Add(rootRenewed/2 - rootLife))
	if err == nil {
		err = k.storage.Store(t.Context(), rootKey, pair)
	}
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := old.issue("app.internal")
	if err == nil {
		err = k.storage.Store(t.Context(), leafKey+"app.internal", leaf)
	}
	if err != nil {
		t.Fatal(err)
	}
	cert, err := k.sources.issue(t.Context(), "app.internal")
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.sources.issue(t.Context(), "app.internal")
	if err != nil {
		t.Fatal(err)
	}
	a, err := openAuthority(t.Context(), k.storage)
	if err != nil || a.root.Equal(old.root) || cert.Leaf.CheckSignatureFrom(a.root) != nil ||
		!again.Leaf.Equal(cert.Leaf) {
		t.Errorf("the root has changed: %v, the leaf is its own: %v, and one: %v (%v)", !a.root.Equal(old.root),
			cert.Leaf.CheckSignatureFrom(a.root), again.Leaf.Equal(cert.Leaf), err)
	}
}
