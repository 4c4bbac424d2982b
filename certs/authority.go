package certs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"time"

	"rhumb"
)

// Lifetimes of what the internal authority makes.
const (
	rootLife    = 10 * 365 * 24 * time.Hour
	rootRenewed = 180 * 24 * time.Hour // a root is replaced that long before its end
	leafLife    = 90 * 24 * time.Hour
	skew        = time.Hour // clients' clocks may be behind
)

// authority is the server's own: a root that signs the certificates of hosts that no public authority knows.
type authority struct {
	root *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
}

// openAuthority loads the authority, and makes it if there is none or if its end is near.
func openAuthority(ctx context.Context, s *storage) (*authority, error) {
	if a, err := loadAuthority(ctx, s); a != nil || err != nil {
		return a, err
	}
	if err := s.Lock(ctx, rootKey); err != nil {
		return nil, err
	}
	defer func() { _ = s.Unlock(ctx, rootKey) }()
	if a, err := loadAuthority(ctx, s); a != nil || err != nil {
		return a, err // another process was faster
	}
	a, b, err := newAuthority(time.Now())
	if err != nil {
		return nil, err
	}
	return a, s.Store(ctx, rootKey, b)
}

// loadAuthority returns nil without an error if there is no authority that may sign. A damaged one is never replaced,
// because clients trust it.
func loadAuthority(ctx context.Context, s *storage) (*authority, error) {
	b, err := s.Load(ctx, rootKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "internal authority: %w", err)
	}
	pair, err := parsePair(b)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "internal authority: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, rhumb.Errorf(rhumb.Internal, "internal authority: its key can't sign")
	}
	if time.Until(pair.Leaf.NotAfter) < rootRenewed {
		return nil, nil
	}
	return &authority{pair.Leaf, signer, time.Now}, nil
}

func newAuthority(now time.Time) (*authority, []byte, error) {
	name := "Rhumb internal authority"
	if host, err := os.Hostname(); err == nil {
		name += " of " + host
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name[:min(len(name),
			64)]}, NotBefore: now.Add(-skew), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, key, err := sign(template, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, rhumb.Errorf(rhumb.Internal, "internal authority: %w", err)
	}
	pair, err := encodePair(key, der)
	return &authority{root, key, time.Now}, pair, err
}

// issue makes a certificate for a host and returns it with its key and the root, in PEM.
func (a *authority) issue(host string) ([]byte, error) {
	now := a.now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: host[:min(len(host), 64)]}, DNSNames: []string{host},
		NotBefore: now.Add(-skew), NotAfter: earlier(now.Add(leafLife-skew), a.root.NotAfter),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, key, err := sign(template, a.root, a.key)
	if err != nil {
		return nil, err
	}
	return encodePair(key, der, a.root.Raw)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// sign makes a key and its certificate, signed by a parent or, without one, self-signed.
func sign(template, parent *x509.Certificate, by crypto.Signer) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, rhumb.Errorf(rhumb.Internal, "internal authority: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, rhumb.Errorf(rhumb.Internal, "internal authority: %w", err)
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return nil, nil, rhumb.Errorf(rhumb.Internal, "internal authority: %w", err)
	}
	return der, key, nil
}

func encodePair(key *ecdsa.PrivateKey, chain ...[]byte) ([]byte, error) {
	var out []byte
	for _, der := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: der})...)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "internal authority: %w", err)
	}
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})...), nil
}
