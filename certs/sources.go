package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/caddyserver/certmagic"

	"rhumb"
	"rhumb/internal/seal"
)

// sources are where certificates come from: an ACME authority, the internal authority, or the user.
type sources struct {
	storage *storage
	log     *slog.Logger
}

// obtain does what the host's source asks for.
func (s *sources) obtain(ctx context.Context, spec rhumb.Certificate, c *client) (*tls.Certificate, error) {
	switch spec.Source {
	case rhumb.CertInternal:
		return s.issue(ctx, spec.Host)
	case rhumb.CertACME:
		if c == nil {
			return nil, rhumb.Errorf(rhumb.Unavailable, "there is no ACME authority")
		}
		if err := s.setDamagedAside(ctx, c, spec.Host); err != nil {
			return nil, err
		}
		return c.order(ctx, s.storage, spec.Host)
	}
	return s.stored(ctx, spec, c)
}

// setDamagedAside moves a damaged certificate out of the way, which certmagic would neither use nor replace.
func (s *sources) setDamagedAside(ctx context.Context, c *client, host string) error {
	site := certmagic.StorageKeys.CertsSitePrefix(c.key, host)
	if err := s.storage.Lock(ctx, site); err != nil {
		return err
	}
	defer func() { _ = s.storage.Unlock(ctx, site) }()
	if _, err := c.load(ctx, s.storage, host); !errors.Is(err, seal.ErrDamaged) {
		return nil
	}
	to, err := s.storage.setAside(site)
	if err == nil {
		s.log.Error("damaged certificate set aside", "host", host, "in", to)
	}
	return err
}

// issue has the internal authority make a certificate, unless another process has just done so.
func (s *sources) issue(ctx context.Context, host string) (*tls.Certificate, error) {
	if err := s.storage.Lock(ctx, leafKey+host); err != nil {
		return nil, err
	}
	defer func() { _ = s.storage.Unlock(ctx, leafKey+host) }()
	a, err := openAuthority(ctx, s.storage)
	if err != nil {
		return nil, err
	}
	if b, err := s.storage.Load(ctx, leafKey+host); err == nil {
		cert, err := parsePair(b)
		if err == nil && cert.Leaf.CheckSignatureFrom(a.root) == nil &&
			time.Now().Before(renewAt(cert.Leaf.NotBefore, cert.Leaf.NotAfter, 0)) {
			return cert, nil
		}
	}
	b, err := a.issue(host)
	if err != nil {
		return nil, err
	}
	if err := s.storage.Store(ctx, leafKey+host, b); err != nil {
		return nil, err
	}
	return parsePair(b)
}

// stored returns the certificate that is on disk for a host.
func (s *sources) stored(ctx context.Context, spec rhumb.Certificate, c *client) (*tls.Certificate, error) {
	key := pairsKey + "/" + spec.Given
	switch spec.Source {
	case rhumb.CertACME:
		if c != nil {
			return c.load(ctx, s.storage, spec.Host)
		}
		return nil, fs.ErrNotExist
	case rhumb.CertInternal:
		key = leafKey + spec.Host
	}
	b, err := s.storage.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	return parsePair(b)
}
