package rhumb

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"
)

// TLS is what a service wants of the certificates of its routes' hosts. The zero value is the server's own choice: see CertSourceOf.
type TLS struct {
	Source CertSource    `json:",omitzero"` // "": by the host's name
	Given  string        `json:",omitzero"` // for CertGiven: the hash of the Stack's file of kind FileCertificate
	HSTS   time.Duration `json:",omitzero"` // how long browsers shall insist on HTTPS; 0: nothing is said about it
	Plain  *bool         `json:",omitzero"` // serve HTTP too instead of leading it to HTTPS; nil: only for internal certificates that nobody asked for
}

// CertSource is where a host's certificate comes from.
type CertSource string

const (
	CertACME     CertSource = "acme"     // an authority that speaks ACME, by default Let's Encrypt
	CertInternal CertSource = "internal" // the server's own authority
	CertGiven    CertSource = "given"    // files of the user
	CertOff      CertSource = "off"      // none: HTTP only
)

// CertSourceOf gives where the certificate of a route's host comes from when nobody said so: names that the whole internet can know from
// ACME, if the server has it on, others from the internal authority. A wildcard gets none: ACME gives those only by way of the DNS, and an
// internal one would stand where visitors expect a public one.
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

// privateLabels are last labels that no public authority gives certificates for.
var privateLabels = []string{"test", "localhost", "local", "localdomain", "internal", "intranet", "private", "lan", "home", "corp", "arpa",
	"example", "invalid", "onion", "alt", "docker"}

// PublicHost tells whether a host name looks like one that the whole internet can know.
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
	Stack  string        // whose wish it is
	HSTS   time.Duration `json:",omitzero"`
	Plain  bool          `json:",omitzero"` // HTTP is served too, not led to HTTPS
}

// Authority is the ACME authority that certificates come from. The zero value is none.
type Authority struct {
	Directory string `json:",omitzero"` // its directory's URL
	Email     string `json:",omitzero"` // whom it may write to
	Root      string `json:",omitzero"` // PEM of a root that its own HTTPS is trusted by, besides the system's
}

// CertificateStatus is how a host's certificate stands.
type CertificateStatus struct {
	Host      string
	Source    CertSource
	Stack     string    `json:",omitzero"`
	Issuer    string    `json:",omitzero"` // "": there is no certificate yet
	NotBefore time.Time `json:",omitzero"`
	NotAfter  time.Time `json:",omitzero"`
	Error     string    `json:",omitzero"` // why the last attempt to get one failed; "": it didn't
	Failed    time.Time `json:",omitzero"` // when
	Next      time.Time `json:",omitzero"` // when the next attempt, or the renewal, is due; zero: never (given ones)
}

// CertificateStore keeps what the proxy needs and may not stand in its table: the pairs that users gave, and the internal authority.
type CertificateStore interface {
	// KeepPair stores a certificate chain with its key, both in PEM, under the hash of the two. Storing it again does no harm.
	KeepPair(ctx context.Context, hash string, pair []byte) error
	// Root gives the internal authority's certificate in PEM. The authority is made if there is none yet.
	Root(ctx context.Context) (string, error)
}
