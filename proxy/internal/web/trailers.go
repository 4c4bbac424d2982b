package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// passTrailers lets through the trailers of the request that were declared and whose names may be a trailer's. The
// server fills in.Trailer at the body's end, with undeclared ones too if the client speaks HTTP/1. Many servers then
// merge trailers into the header, so that a trailer could forge what the proxy says of the client.
func passTrailers(in, out *http.Request) {
	out.Trailer = nil
	for name := range in.Trailer {
		if !mayTrail(name) {
			continue
		}
		if out.Trailer == nil {
			out.Trailer = http.Header{}
		}
		out.Trailer[name] = nil // declares it; the value comes at the body's end
	}
	if out.Trailer != nil && out.Body != nil {
		out.Body = &trailedBody{ReadCloser: out.Body, from: in.Trailer, to: out.Trailer}
	}
}

// trailedBody copies the values of the declared trailers once all of the body has been read.
type trailedBody struct {
	io.ReadCloser
	from, to http.Header
}

// Read reads a part of the body.
func (b *trailedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		for name := range b.to {
			b.to[name] = b.from[name]
		}
	}
	return n, err
}

// headerOnly are fields that frame, route, authenticate or modify a message. That has been done before its trailers
// come (RFC 9110, 6.5.1).
var headerOnly = map[string]bool{
	"Authorization": true, "Cache-Control": true, "Connection": true, "Cookie": true, "Expect": true, "Host": true,
	"Keep-Alive": true, "Max-Forwards": true, "Pragma": true, "Range": true, "Set-Cookie": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Www-Authenticate": true,
}

// mayTrail reports whether a field of the name may be a trailer. Content-Digest is made to be one (RFC 9530).
func mayTrail(name string) bool {
	k := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	switch {
	case k == "Content-Digest":
		return true
	case strings.HasPrefix(k, "Content-"), strings.HasPrefix(k, "If-"), strings.HasPrefix(k, "Proxy"):
		return false
	}
	return !headerOnly[k] && !claimsOrigin(k)
}
