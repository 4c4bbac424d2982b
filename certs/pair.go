package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"

	"rhumb"
)

const (
	pairsKey = "given"
	rootKey  = "internal/root"
	leafKey  = "internal/leaves/"
)

// Store is the daemon's part of this room: it implements rhumb.CertificateStore. The proxy of the same folder does the
// rest.
type Store struct{ storage *storage }

// OpenStore returns the store of a folder, which is made when something is first stored. Everything in it is sealed
// with box.
func OpenStore(dir string, box Sealer) *Store { return &Store{newStorage(dir, box)} }

// KeepPair implements rhumb.CertificateStore.
func (s *Store) KeepPair(ctx context.Context, hash string, pair []byte) error {
	if _, err := parsePair(pair); err != nil {
		return err
	}
	return s.storage.Store(ctx, pairsKey+"/"+hash, pair)
}

// Root implements rhumb.CertificateStore.
func (s *Store) Root(ctx context.Context) (string, error) {
	a, err := openAuthority(ctx, s.storage)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: a.root.Raw})), nil
}

const certificateType = "CERTIFICATE"

// parsePair parses a chain and its key from one run of PEM, in any order.
func parsePair(b []byte) (*tls.Certificate, error) {
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "certificate: %w", err)
	}
	if c.Leaf == nil {
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "certificate: %w", err)
		}
	}
	return &c, nil
}

var _ rhumb.CertificateStore = (*Store)(nil)
