package proxy

import (
	"net/http"
	"strings"

	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/table"
)

// suspect reports whether a request must not reach a replica: the guard has refused it already, or it has more than one reading
// once it is written as HTTP/1 again. Over HTTP/2, which the guard doesn't read, the server lets more of that through.
func suspect(r *http.Request) bool {
	if r.ProtoMajor == 1 && connOf(r).Suspect() {
		return true
	}
	return !wellAimed(r) || !table.ValidHost(r.Host) || r.ProtoMajor == 2 && !inbound.IsToken(r.Method) || lengthDoubtful(r.Header)
}

// wellAimed reports whether the target of a request is a path, a URL of HTTP, or what its method needs. The transport would make
// "GET 80" of "GET shop.test:80", and two words of a path with a space in its query.
func wellAimed(r *http.Request) bool {
	target := r.RequestURI
	switch {
	case r.Method == http.MethodConnect:
		return true // which is refused later
	case strings.HasPrefix(target, "/"):
		return strings.IndexByte(target, ' ') < 0
	case target == "*":
		return r.Method == http.MethodOptions
	}
	return r.ProtoMajor == 1 && (r.URL.Scheme == "http" || r.URL.Scheme == "https") && r.URL.Host != ""
}

// lengthDoubtful reports whether a header says of the body's length what isn't one number, or has a field that some take for it.
func lengthDoubtful(h http.Header) bool {
	for k := range h {
		if strings.Contains(k, "_") && inbound.FramesBody(k) {
			return true
		}
	}
	length := h["Content-Length"]
	return len(length) > 1 || len(length) == 1 && !inbound.IsNumber(length[0])
}

// ofTheServer answers a request about the proxy itself: it has no options. net/http would do so before any handler, and the requests
// of a connection would be counted wrong.
func ofTheServer(w http.ResponseWriter, r *http.Request) bool {
	if r.RequestURI != "*" {
		return false
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return true
}
