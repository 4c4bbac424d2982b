package proxy

import (
	"crypto/tls"
	"net/http"

	"rhumb"
)

// Certificates is what the proxy needs of those who get and keep certificates. Its methods may be called side by side, and
// don't wait for anybody outside.
type Certificates interface {
	// Manage makes the table's certificates those that are kept.
	Manage(t rhumb.Table)
	// Certificate gives the one for a handshake; nil without an error refuses the name.
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Good tells whether visitors of a host can be led to TLS.
	Good(host string) bool
	// Challenge answers an ACME authority's request; false if it isn't one.
	Challenge(w http.ResponseWriter, r *http.Request) bool
	// Rest stops ordering for good: a successor does it from now on.
	Rest()
	// Status tells how all certificates stand.
	Status() []rhumb.CertificateStatus
}

// noCertificates is for a proxy that was given none: no handshake succeeds.
type noCertificates struct{}

func (noCertificates) Manage(rhumb.Table)                                         {}
func (noCertificates) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
func (noCertificates) Good(string) bool                                           { return false }
func (noCertificates) Challenge(http.ResponseWriter, *http.Request) bool          { return false }
func (noCertificates) Rest()                                                      {}
func (noCertificates) Status() []rhumb.CertificateStatus                          { return nil }
