package web

import (
	"cmp"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"

	"rhumb/proxy/internal/inbound"
)

// rewrite makes the request that a replica gets from the one that came in. Host and query stay to the letter, and so
// does the path but for bytes that no URI may have (RFC 3986). Those are percent-encoded, because servers refuse them
// raw or read them in different ways.
func (s *Server) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	out.URL.Scheme, out.URL.Host = "http", "replica" // Send replaces the host
	out.URL.RawQuery = in.URL.RawQuery               // ReverseProxy drops what it can't parse
	passTrailers(in, out)
	if carriesHTTP(out.Header.Get("Upgrade")) || !in.ProtoAtLeast(1, 1) {
		out.Header.Del("Upgrade")
		out.Header.Del("Connection") // which names only the upgrade
	}
	if out.Host == "" {
		out.Host = calledAt(connOf(in))
	}
	s.setOrigin(in, out)
}

// calledAt returns the address that the client has called, for a request without a Host. The transport would put in the
// address of the replica, and the replica's redirects would then name that.
func calledAt(c *inbound.Conn) string {
	at := addrOf(c.LocalAddr()).String()
	if c.Encrypted() {
		return strings.TrimSuffix(at, ":443")
	}
	return strings.TrimSuffix(at, ":80")
}

// setOrigin sets the headers that say who the client is and what it asked for. What the request itself claims is
// believed only from a trusted peer, and only in X-Forwarded-*: other fields may have passed such a peer unseen.
func (s *Server) setOrigin(in, out *http.Request) {
	peer := addrPortOf(in.RemoteAddr).Addr()
	trusted := s.trusts(peer)
	for k := range out.Header {
		if claimsOrigin(k) && !(trusted && strings.HasPrefix(k, "X-Forwarded-")) {
			delete(out.Header, k)
		}
	}
	chain, host, proto := peer.String(), out.Host, "http"
	if connOf(in).Encrypted() {
		proto = "https"
	}
	if trusted {
		if before := strings.Join(in.Header["X-Forwarded-For"], ", "); before != "" {
			chain = before + ", " + chain
		}
		host = cmp.Or(in.Header.Get("X-Forwarded-Host"), host)
		proto = cmp.Or(in.Header.Get("X-Forwarded-Proto"), proto)
	}
	out.Header["X-Forwarded-For"] = []string{chain}
	out.Header["X-Forwarded-Host"] = []string{host}
	out.Header["X-Forwarded-Proto"] = []string{proto}
	out.Header["X-Real-Ip"] = []string{s.clientOf(in, peer).String()}
}

// clientOf returns the address of the client that sent a request: that of the peer, or what a trusted peer says.
func (s *Server) clientOf(r *http.Request, peer netip.Addr) netip.Addr {
	before := r.Header["X-Forwarded-For"]
	if len(before) == 0 || !s.trusts(peer) {
		return peer
	}
	return s.lastStranger(strings.Join(before, ", "), peer)
}

// lastStranger follows a chain of X-Forwarded-For back from a trusted peer to the first address that isn't trusted.
// That is the client as the last trusted peer saw it; what stands before it is the client's own claim.
func (s *Server) lastStranger(chain string, peer netip.Addr) netip.Addr {
	for more := true; more && s.trusts(peer); {
		at := strings.LastIndexByte(chain, ',')
		before := addrPortOf(strings.Trim(chain[at+1:], " \t")).Addr()
		if !before.IsValid() {
			break
		}
		peer, chain, more = before, chain[:max(at, 0)], at > 0
	}
	return peer
}

// carriesHTTP reports whether a client asks to change to a protocol that carries requests again: HTTP/2, or TLS with
// HTTP in it. Those would reach the replica as the client wrote them, past all rules. Such a client goes on without the
// change.
func carriesHTTP(upgrade string) bool {
	for protocol := range strings.SplitSeq(strings.ToLower(upgrade), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
		if name == "h2c" || name == "h2" || name == "http" || name == "tls" {
			return true
		}
	}
	return false
}

// claimsOrigin reports whether a header says where a request comes from. CGI and WSGI turn "-" into "_", so that a
// replica can't tell X_Forwarded_For from the real one. Both spellings count.
func claimsOrigin(header string) bool {
	k := http.CanonicalHeaderKey(strings.ReplaceAll(header, "_", "-"))
	return k == "Forwarded" || k == "X-Real-Ip" || strings.HasPrefix(k, "X-Forwarded-")
}

// addrPortOf reads an address with or without a port. The result is invalid if s is neither.
func addrPortOf(s string) netip.AddrPort {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		addr, _ := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")) // the zero value is invalid
		ap = netip.AddrPortFrom(addr, 0)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// addrOf returns the address of a socket. It is invalid if a isn't one of IP.
func addrOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return addrPortOf(a.String())
}

func (s *Server) trusts(peer netip.Addr) bool {
	for _, p := range s.deps.Trusted {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}
