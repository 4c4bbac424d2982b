package web

import (
	"net/http"
	"strings"

	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/table"
)

// suspect reports whether a request must not reach a replica: the guard has refused it already, or it has more than one
// reading once it is written as HTTP/1 again. Over HTTP/2, which the guard doesn't read, the server lets more of that
// through.
func suspect(r *http.Request) bool {
	if r.ProtoMajor == 1 && connOf(r).Suspect() {
		return true
	}
	if r.ProtoMajor == 2 && !http1.IsToken(r.Method) {
		return true
	}
	return !wellAimed(r) || !table.ValidHost(r.Host) || lengthDoubtful(r.Header)
}

// wellAimed reports whether a request's URI is a path, a URL of HTTP, or what its method needs. The transport would
// make "GET 80" of "GET shop.test:80", and two words of a path with a space in its query.
func wellAimed(r *http.Request) bool {
	uri := r.RequestURI
	switch {
	case r.Method == http.MethodConnect:
		return true // which is refused later
	case strings.HasPrefix(uri, "/"):
		return strings.IndexByte(uri, ' ') < 0
	case uri == "*":
		return r.Method == http.MethodOptions
	}
	return r.ProtoMajor == 1 && (r.URL.Scheme == "http" || r.URL.Scheme == "https") && r.URL.Host != ""
}

// lengthDoubtful reports whether a header's Content-Length isn't one number, or another field could be taken for it.
func lengthDoubtful(h http.Header) bool {
	for k := range h {
		if strings.Contains(k, "_") && http1.FramesBody(k) {
			return true
		}
	}
	length := h["Content-Length"]
	return len(length) > 1 || len(length) == 1 && !http1.IsNumber(length[0])
}

// ofTheServer answers a request about the proxy itself, which has no options. net/http would do so before any handler,
// and the connection's requests would be counted wrong.
func ofTheServer(w http.ResponseWriter, r *http.Request) bool {
	if r.RequestURI != "*" {
		return false
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return true
}
