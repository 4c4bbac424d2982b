package compose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// pairFor writes shop.crt and shop.key for a name, valid for the given time from now.
func pairFor(t *testing.T, dir, name string, life time.Duration) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "shop.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, dir, "shop.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})))
}

func loadTLS(t *testing.T, dir, routes, tls string) (*Project, error) {
	t.Helper()
	write(t, dir, "compose.yaml",
		"services:\n  web:\n    image: x\n    x-rhumb:\n      routes: ["+routes+"]\n      tls: "+tls+"\n")
	return Load(t.Context(), Options{Dir: dir, Name: "shop"})
}

func TestTheTLSOfAServiceIsRead(t *testing.T) {
	yes, no := true, false
	for text, want := range map[string]rhumb.TLS{
		"off":      {Source: rhumb.CertOff},
		"false":    {Source: rhumb.CertOff},
		"acme":     {Source: rhumb.CertACME},
		"internal": {Source: rhumb.CertInternal},
		"{from: acme, hsts: 180d, redirect: true}": {Source: rhumb.CertACME, HSTS: 180 * 24 * time.Hour, Plain: &no},
		"{redirect: false}":                        {Plain: &yes},
		"{from: off}":                              {Source: rhumb.CertOff},
	} {
		p, err := loadTLS(t, t.TempDir(), "shop.rhumb.dev", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := p.Stack.Services[0].TLS
		if got.Source != want.Source || got.HSTS != want.HSTS || (got.Plain == nil) != (want.Plain == nil) ||
			got.Plain != nil && *got.Plain != *want.Plain {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestAGivenPairIsPartOfTheStack(t *testing.T) {
	dir := t.TempDir()
	pairFor(t, dir, "*.rhumb.dev", time.Hour)
	p, err := loadTLS(t, dir, `shop.rhumb.dev, "*.rhumb.dev"`, "{cert: shop.crt, key: shop.key}")
	if err != nil {
		t.Fatal(err)
	}
	s := p.Stack.Services[0]
	if len(p.Stack.Files) != 1 || p.Stack.Files[0].Kind != rhumb.FileCertificate ||
		p.Stack.Files[0].Hash != s.TLS.Given || s.TLS.Source != rhumb.CertGiven {
		t.Errorf("got %+v, %+v", s.TLS, p.Stack.Files)
	}
	if strings.Contains(string(p.Resolved), "PRIVATE KEY") {
		t.Error("the key is in the resolved model")
	}
}

func TestAnUnusablePairIsRefusedWithItsPlace(t *testing.T) {
	for words, life := range map[string]time.Duration{"shop.crt expired on": -time.Hour,
		"shop.crt isn't for shop.rhumb.dev": time.Hour} {
		dir := t.TempDir()
		name := "shop.rhumb.dev"
		if life > 0 {
			name = "other.rhumb.dev"
		}
		pairFor(t, dir, name, life)
		_, err := loadTLS(t, dir, "shop.rhumb.dev", "{cert: shop.crt, key: shop.key}")
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), "compose.yaml:6: ") ||
			!strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want %q", err, words)
		}
	}
}

func TestServicesOfTheSameHostShareAPair(t *testing.T) {
	dir := t.TempDir()
	file := func(to string) { // the other service's folder
		write(t, dir, "compose.yaml", strings.ReplaceAll(`
services:
  one:
    image: x
    x-rhumb: {routes: [shop.rhumb.dev], tls: {cert: shop.crt, key: shop.key}}
  two:
    image: x
    x-rhumb: {routes: [shop.rhumb.dev/two], tls: {cert: TO/shop.crt, key: TO/shop.key}}
`, "TO", to))
	}
	pairFor(t, dir, "shop.rhumb.dev", time.Hour)
	pairFor(t, dir+"/other", "shop.rhumb.dev", time.Hour)
	file(".")
	if p, err := Load(t.Context(), Options{Dir: dir, Name: "shop"}); err != nil ||
		p.Stack.Services[0].TLS != p.Stack.Services[1].TLS {
		t.Errorf("the same: got %+v, %v", p, err)
	}
	file("other")
	if _, err := Load(t.Context(), Options{Dir: dir, Name: "shop"}); err == nil ||
		!strings.Contains(err.Error(), "one has other TLS settings for shop.rhumb.dev") {
		t.Errorf("another: %v", err)
	}
}

func TestAWildcardHostWithoutTLSOptionsIsNoted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", "services:\n  web:\n    image: x\n    x-rhumb:\n      routes: [\"*.rhumb.dev\"]\n")
	p, err := Load(t.Context(), Options{Dir: dir, Name: "shop"})
	if err != nil || len(p.Stack.Notes) != 1 || !strings.Contains(p.Stack.Notes[0].Why, "HTTP only") {
		t.Errorf("got %+v, %v", p, err)
	}
}
