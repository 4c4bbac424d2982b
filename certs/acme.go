package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"rhumb"
)

// client orders certificates from one ACME authority with certmagic. The keeper decides when to order. certmagic's own
// loops forget failures when the process ends, so they never get a certificate to maintain.
type client struct {
	authority rhumb.Authority
	entries   entries
	key       string // the authority's, in the storage
	cache     *certmagic.Cache
	config    *certmagic.Config
	issuer    *certmagic.ACMEIssuer
	once      sync.Once
}

// entries are where challenges arrive. An invalid entry doesn't exist, and its challenge is off.
type entries struct{ http, https netip.AddrPort }

// never is a pause longer than any process lives.
const never = 100 * 365 * 24 * time.Hour

func newClient(s *storage, a rhumb.Authority, e entries) *client {
	c := &client{authority: a, entries: e}
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return c.config, nil },
		RenewCheckInterval: never, OCSPCheckInterval: never, Logger: zap.NewNop(),
	})
	c.config = certmagic.New(c.cache, certmagic.Config{Storage: s, Logger: zap.NewNop(), DisableARI: true,
		OCSP: certmagic.OCSPConfig{DisableStapling: true}})
	template := certmagic.ACMEIssuer{
		CA: a.Directory, TestCA: a.Directory, Email: a.Email, Agreed: true, Logger: zap.NewNop(),
		TrustedRoots:         roots(a.Root),
		DisableHTTPChallenge: !e.http.IsValid(), DisableTLSALPNChallenge: !e.https.IsValid(),
		AltHTTPPort: int(e.http.Port()), AltTLSALPNPort: int(e.https.Port()), ListenHost: listenHost(e),
	}
	c.issuer = certmagic.NewACMEIssuer(c.config, template)
	c.config.Issuers = []certmagic.Issuer{quietIssuer{c.issuer}}
	c.key = c.issuer.IssuerKey()
	return c
}

// listenHost is where certmagic checks whether a process, ours, listens for challenges already.
func listenHost(e entries) string {
	at := e.http
	if !at.IsValid() {
		at = e.https
	}
	if !at.IsValid() || at.Addr().IsUnspecified() {
		return ""
	}
	return at.Addr().String()
}

// roots returns the system's roots and one more. Without one more it returns nil, which means the system's.
func roots(pem string) *x509.CertPool {
	if pem == "" {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM([]byte(pem))
	return pool
}

// quietIssuer never asks for an address on the terminal.
type quietIssuer struct{ *certmagic.ACMEIssuer }

func (q quietIssuer) PreCheck(ctx context.Context, names []string, _ bool) error {
	return q.ACMEIssuer.PreCheck(ctx, names, false)
}

func (c *client) close() { c.once.Do(c.cache.Stop) }

// order obtains a certificate for the host, or a new one if that in the storage is due, and returns the one in the
// storage. Only one process at a time orders for a host; the next one finds it done.
func (c *client) order(ctx context.Context, s *storage, host string) (*tls.Certificate, error) {
	if err := c.config.RenewCertSync(ctx, host, false); err != nil {
		return nil, err
	}
	return c.load(ctx, s, host)
}

// load returns the host's certificate from the storage.
func (c *client) load(ctx context.Context, s *storage, host string) (*tls.Certificate, error) {
	return loadIssued(ctx, s, c.key, host)
}

func loadIssued(ctx context.Context, s *storage, issuer, host string) (*tls.Certificate, error) {
	chain, err := s.Load(ctx, certmagic.StorageKeys.SiteCert(issuer, host))
	if err != nil {
		return nil, err
	}
	key, err := s.Load(ctx, certmagic.StorageKeys.SitePrivateKey(issuer, host))
	if err != nil {
		return nil, err
	}
	return parsePair(append(append(chain, '\n'), key...))
}

// loadAny returns the host's certificate with the longest life among those of all authorities that are still good.
// After a change of the authority, the old certificate serves until the new authority has issued one.
func loadAny(ctx context.Context, s *storage, host string) *tls.Certificate {
	const prefix = "certificates"
	issuers, err := s.List(ctx, prefix, false)
	if err != nil {
		return nil
	}
	var best *tls.Certificate
	for _, issuer := range issuers {
		cert, err := loadIssued(ctx, s, strings.TrimPrefix(issuer, prefix+"/"), host)
		if err == nil && time.Now().Before(cert.Leaf.NotAfter) &&
			(best == nil || cert.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best = cert
		}
	}
	return best
}

// challengeProtocol is the protocol by which an authority looks for the answer to a challenge in TLS (RFC 8737).
const challengeProtocol = "acme-tls/1"

func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol
}
