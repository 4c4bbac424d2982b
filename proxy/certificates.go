package proxy

import (
	"context"
	"crypto/tls"
	"net/http"

	"rhumb"
)

// Certificates is what the proxy needs of the room that obtains and keeps certificates. Its methods may be called
// concurrently, and wait for nothing outside this machine.
type Certificates interface {
	// Manage keeps the certificates of the table, and no others.
	Manage(ctx context.Context, t rhumb.Table)
	// Certificate returns the certificate for a handshake. nil without an error refuses the name.
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Good reports whether a host can be visited over TLS.
	Good(host string) bool
	// Challenge answers an ACME authority's request. It returns false if the request isn't one.
	Challenge(w http.ResponseWriter, r *http.Request) bool
	// Rest stops ordering for good: a successor does it from now on.
	Rest()
	// Status returns the state of all certificates.
	Status() []rhumb.CertificateStatus
}

// noCertificates has none: no handshake succeeds.
type noCertificates struct{}

func (noCertificates) Manage(context.Context, rhumb.Table)                        {}
func (noCertificates) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
func (noCertificates) Good(string) bool                                           { return false }
func (noCertificates) Challenge(http.ResponseWriter, *http.Request) bool          { return false }
func (noCertificates) Rest()                                                      {}
func (noCertificates) Status() []rhumb.CertificateStatus                          { return nil }
