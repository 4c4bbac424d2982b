package rhumb

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"
)

// TLS is how the hosts of a service's routes get their certificates. The zero value leaves it to the server:
// CertSourceOf.
type TLS struct {
	Source CertSource    `json:",omitzero"` // "": by the host's name
	Given  string        `json:",omitzero"` // for CertGiven: the hash of the Stack's file of kind FileCertificate
	HSTS   time.Duration `json:",omitzero"` // how long browsers must insist on HTTPS; 0: no such header is sent
	// Plain serves HTTP too, instead of redirecting it to HTTPS. nil: only if the certificate is internal by default.
	Plain *bool `json:",omitzero"`
}

// CertSource is where a host's certificate comes from.
type CertSource string

const (
	CertACME     CertSource = "acme"     // an authority that speaks ACME, by default Let's Encrypt
	CertInternal CertSource = "internal" // the server's own authority
	CertGiven    CertSource = "given"    // files of the user
	CertOff      CertSource = "off"      // none: HTTP only
)

// CertSourceOf returns where the certificate of a route's host comes from if the user doesn't say. Public names get one
// from ACME if the server uses it, other names from the internal authority. A wildcard gets none: ACME issues those
// only after a challenge over DNS, and visitors expect a public certificate, not an internal one.
func CertSourceOf(host string, acme bool) CertSource {
	switch {
	case host == "" || net.ParseIP(host) != nil || strings.HasPrefix(host, "*."):
		return CertOff
	case !PublicHost(host):
		return CertInternal
	case acme:
		return CertACME
	}
	return CertInternal
}

// privateLabels are last labels for which no public authority issues certificates.
var privateLabels = []string{
	"test", "localhost", "local", "localdomain", "internal", "intranet", "private", "lan", "home", "corp",
	"arpa", "example", "invalid", "onion", "alt", "docker",
}

// PublicHost reports whether a host name looks public: one that names a machine anywhere on the internet.
func PublicHost(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(host), "*."), ".")
	i := strings.LastIndexByte(host, '.')
	return i > 0 && net.ParseIP(host) == nil && !slices.Contains(privateLabels, host[i+1:])
}

// Certificate is one host whose requests the proxy takes over TLS.
type Certificate struct {
	Host   string // as in the rules: "shop.example.com", "*.example.com"
	Source CertSource
	Given  string        `json:",omitzero"` // for CertGiven: the hash of a stored pair
	Stack  string        // the stack that asks for it
	HSTS   time.Duration `json:",omitzero"`
	Plain  bool          `json:",omitzero"` // HTTP is served too, not redirected to HTTPS
}

// Authority is the ACME authority that certificates come from. The zero value is none.
type Authority struct {
	Directory string `json:",omitzero"` // its directory's URL
	Email     string `json:",omitzero"` // contact address for the authority
	Root      string `json:",omitzero"` // PEM of a root that its own HTTPS is trusted by, besides the system's
}

// CertificateStatus is the state of a host's certificate.
type CertificateStatus struct {
	Host      string
	Source    CertSource
	Stack     string    `json:",omitzero"`
	Issuer    string    `json:",omitzero"` // "": there is no certificate yet
	NotBefore time.Time `json:",omitzero"`
	NotAfter  time.Time `json:",omitzero"`
	Error     string    `json:",omitzero"` // why the last attempt to get one failed; "": it succeeded
	Failed    time.Time `json:",omitzero"` // when
	Next      time.Time `json:",omitzero"` // when the next attempt, or the renewal, is due; zero: never (given ones)
}

// CertificateStore keeps what the proxy needs but must not be in its table: the pairs that users gave, the internal
// authority, and the files of routes. Its methods return Unavailable if the disk can't be read or written.
type CertificateStore interface {
	// KeepPair stores a certificate chain with its key, both in PEM, under the hash of the two. It is idempotent.
	KeepPair(ctx context.Context, hash string, pair []byte) error
	// KeepFile stores a file of routes, a page or users, under its hash. It is idempotent.
	KeepFile(ctx context.Context, hash string, content []byte) error
	// Root returns the internal authority's certificate in PEM, and makes the authority if there is none yet.
	Root(ctx context.Context) (string, error)
}
