package proxy

import (
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
)

// rewrite makes the request that a replica gets from the one that came in. Host, path and query stay to the letter. Who
// the client is, is said by the proxy: what the request itself claims is believed only from a trusted peer.
func (h *httpServer) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	out.URL.Scheme, out.URL.Host = "http", "replica" // the round tripper knows better
	out.URL.RawQuery = in.URL.RawQuery               // ReverseProxy drops what it can't parse
	passTrailers(in, out)
	if carriesHTTP(out.Header.Get("Upgrade")) {
		out.Header.Del("Upgrade")
		out.Header.Del("Connection") // which says no more than that
	}
	peer := peerOf(in.RemoteAddr)
	trusted := h.trusts(peer)
	for k := range out.Header {
		if !trusted && claimsOrigin(k) {
			delete(out.Header, k)
		}
	}
	if trusted {
		for _, k := range []string{"Forwarded", "X-Forwarded-For"} {
			if v := in.Header[k]; v != nil {
				out.Header[k] = v
			}
		}
	}
	host, proto := in.Header.Get("X-Forwarded-Host"), in.Header.Get("X-Forwarded-Proto")
	pr.SetXForwarded() // appends to X-Forwarded-For, replaces the others
	if connOf(in).Encrypted() {
		out.Header.Set("X-Forwarded-Proto", "https")
	}
	if trusted && host != "" {
		out.Header.Set("X-Forwarded-Host", host)
	}
	if trusted && proto != "" {
		out.Header.Set("X-Forwarded-Proto", proto)
	}
	if out.Header.Get("X-Real-Ip") == "" {
		out.Header.Set("X-Real-Ip", peer.String())
	}
	out.Header["X-Forwarded-For"] = []string{strings.Join(out.Header["X-Forwarded-For"], ", ")}
}

// carriesHTTP tells whether a client asks to change to what carries requests again: HTTP/2, or TLS with HTTP in it. They would reach the replica as
// the client wrote them, led by no rule. Who doesn't get the change goes on without it.
func carriesHTTP(upgrade string) bool {
	for protocol := range strings.SplitSeq(strings.ToLower(upgrade), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
		if name == "h2c" || name == "h2" || name == "http" || name == "tls" {
			return true
		}
	}
	return false
}

// claimsOrigin tells whether a header says where a request comes from. CGI and WSGI turn "-" into "_", so that a
// replica can't tell X_Forwarded_For from the real one: it is dropped as well.
func claimsOrigin(header string) bool {
	k := http.CanonicalHeaderKey(strings.ReplaceAll(header, "_", "-"))
	return k == "Forwarded" || k == "X-Real-Ip" || strings.HasPrefix(k, "X-Forwarded-")
}

func peerOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func (h *httpServer) trusts(peer netip.Addr) bool {
	for _, p := range h.trusted {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}
