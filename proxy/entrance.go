package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// tlsHosts is what a table says of hosts that are served over TLS.
type tlsHosts struct {
	hosts map[string]rhumb.Certificate // by host, wildcards as "*.example.com"
	port  uint16                       // of the entry; 0: there is none
}

func tlsHostsOf(t rhumb.Table) tlsHosts {
	h := tlsHosts{hosts: make(map[string]rhumb.Certificate, len(t.Certificates))}
	for _, c := range t.Certificates {
		h.hosts[normalHost(c.Host)] = c
	}
	for _, l := range t.Listeners {
		if l.Protocol == rhumb.HTTPS {
			h.port = l.Addr.Port()
		}
	}
	return h
}

func (t tlsHosts) find(host string) (rhumb.Certificate, bool) {
	c, ok := t.hosts[host]
	if _, rest, dot := strings.Cut(host, "."); !ok && dot {
		c, ok = t.hosts["*."+rest]
	}
	return c, ok
}

// validateCertificates tells whether the certificates can be kept.
func validateCertificates(cs []rhumb.Certificate) error {
	seen := make(map[string]bool, len(cs))
	for _, c := range cs {
		host := normalHost(c.Host)
		bare := strings.TrimPrefix(host, "*.")
		switch {
		case bare == "" || strings.ContainsAny(bare, "*/\\ :"):
			return rhumb.Errorf(rhumb.Invalid, "routing table: certificate for %q: not a host name", c.Host)
		case seen[host]:
			return rhumb.Errorf(rhumb.Invalid, "routing table: two certificates for %s", c.Host)
		case c.Source == rhumb.CertGiven && (c.Given == "" || strings.Trim(c.Given, "0123456789abcdef") != ""):
			return rhumb.Errorf(rhumb.Invalid, "routing table: certificate for %s: %q is not a hash", c.Host, c.Given)
		case c.Source != rhumb.CertGiven && c.Source != rhumb.CertInternal && c.Source != rhumb.CertACME:
			return rhumb.Errorf(rhumb.Invalid, "routing table: certificate for %s: there is no source %q", c.Host, c.Source)
		}
		seen[host] = true
	}
	return nil
}

const challengePath = "/.well-known/acme-challenge/"

// entrance does what comes before a request is led to a replica: challenges are answered, visitors are led to TLS, and what doesn't
// belong on its connection is refused. It gives the answer's Strict-Transport-Security, and whether the request has had its answer.
func (h *httpServer) entrance(s *snapshot, w http.ResponseWriter, r *http.Request) (insist string, done bool) {
	c, ok := r.Context().Value(connKey{}).(*clientConn)
	if !ok {
		return "", false
	}
	l := s.listeners[c.bound]
	host := requestHost(r.Host)
	switch {
	case c.tls != nil:
		if !c.covers(host) {
			pageMisdirected().write(w, r)
			return "", true
		}
		cert, _ := s.tls.find(host)
		return strictness(cert.HSTS), false
	case l.Protocol != rhumb.HTTP || l.Backend != "":
		return "", false
	case strings.HasPrefix(r.URL.Path, challengePath) && h.certs.Challenge(w, r):
		return "", true
	}
	if cert, ok := s.tls.find(host); ok && !cert.Plain && s.tls.port != 0 && h.certs.Good(host) {
		redirect(w, r, host, s.tls.port)
		return "", true
	}
	return "", false
}

// redirect leads a visitor to the same page over TLS. 308 keeps the method and the body.
func redirect(w http.ResponseWriter, r *http.Request, host string, port uint16) {
	if port != 443 {
		host += ":" + strconv.Itoa(int(port))
	}
	target := r.URL.EscapedPath()
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		target += "?" + r.URL.RawQuery
	}
	if !strings.HasPrefix(target, "/") {
		target = "/" // "OPTIONS *"
	}
	w.Header().Set("Location", "https://"+host+target)
	w.Header().Set("Cache-Control", "no-store") // the choice may change with the next table
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		w.Header().Set("Connection", "close") // its body isn't read
	}
	w.WriteHeader(http.StatusPermanentRedirect)
}

func strictness(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return "max-age=" + strconv.Itoa(int(d/time.Second))
}

// insist says in an answer over TLS that browsers shall insist on it.
func insist(resp *http.Response) error {
	if c, ok := resp.Request.Context().Value(callKey{}).(*call); ok && c.insist != "" {
		resp.Header.Set("Strict-Transport-Security", c.insist)
	}
	return nil
}
