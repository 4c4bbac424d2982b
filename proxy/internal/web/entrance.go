package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/table"
)

const challengePath = "/.well-known/acme-challenge/"

// entrance does what comes before a request is forwarded: it answers challenges, redirects visitors to TLS, and refuses
// what doesn't belong on its connection. It returns the answer's Strict-Transport-Security, and whether the request has
// been answered.
func (s *Server) entrance(snap *backend.Snapshot, w http.ResponseWriter, r *http.Request) (hsts string, done bool) {
	c := connOf(r)
	l := snap.Listeners[c.Bound]
	host := table.RequestHost(r.Host)
	switch {
	case c.Encrypted():
		if !c.Covers(host) {
			page.Misdirected().Write(w, r)
			return "", true
		}
		cert, _ := snap.TLS.Find(host)
		return strictness(cert.HSTS), false
	case l.Protocol != rhumb.HTTP || l.Backend != "":
		return "", false
	case strings.HasPrefix(r.URL.Path, challengePath) && s.deps.Certificates.Challenge(w, r):
		return "", true
	}
	if cert, ok := snap.TLS.Find(host); ok && !cert.Plain && snap.TLS.Port != 0 && s.deps.Certificates.Good(host) {
		redirect(w, r, host, snap.TLS.Port)
		return "", true
	}
	return "", false
}

// redirect sends a visitor to the same page over TLS. 308 keeps the method and the body.
func redirect(w http.ResponseWriter, r *http.Request, host string, port uint16) {
	if port != 443 {
		host += ":" + strconv.Itoa(int(port))
	}
	path := r.URL.EscapedPath()
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		path += "?" + r.URL.RawQuery
	}
	if path == "" {
		path = "/" // "GET http://shop.test"
	}
	w.Header().Set("Location", "https://"+host+path)
	w.Header().Set("Cache-Control", "no-store") // the choice may change with the next table
	w.WriteHeader(http.StatusPermanentRedirect)
}

// strictness returns the Strict-Transport-Security of a certificate's HSTS; "" if it has none.
func strictness(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return "max-age=" + strconv.Itoa(int(d/time.Second))
}
