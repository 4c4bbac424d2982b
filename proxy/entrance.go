package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/table"
)

const challengePath = "/.well-known/acme-challenge/"

// entrance does what comes before a request is led to a replica: challenges are answered, visitors are led to TLS, and what doesn't
// belong on its connection is refused. It gives the answer's Strict-Transport-Security, and whether the request has had its answer.
func (h *httpServer) entrance(s *snapshot, w http.ResponseWriter, r *http.Request) (insist string, done bool) {
	c := connOf(r)
	l := s.listeners[c.Bound]
	host := table.RequestHost(r.Host)
	switch {
	case c.Encrypted():
		if !c.Covers(host) {
			page.Misdirected().Write(w, r)
			return "", true
		}
		cert, _ := s.tls.Find(host)
		return strictness(cert.HSTS), false
	case l.Protocol != rhumb.HTTP || l.Backend != "":
		return "", false
	case strings.HasPrefix(r.URL.Path, challengePath) && h.certs.Challenge(w, r):
		return "", true
	}
	if cert, ok := s.tls.Find(host); ok && !cert.Plain && s.tls.Port != 0 && h.certs.Good(host) {
		redirect(w, r, host, s.tls.Port)
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
	if target == "" {
		target = "/" // "GET http://shop.test"
	}
	w.Header().Set("Location", "https://"+host+target)
	w.Header().Set("Cache-Control", "no-store") // the choice may change with the next table
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
