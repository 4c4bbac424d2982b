package http1

import (
	"strings"

	"rhumb/proxy/internal/table"
)

// aim takes the target apart: a path, a URL of HTTP, "*" for OPTIONS, an authority for CONNECT.
func (r *Request) aim() error {
	t := r.Target
	switch {
	case r.Method == "CONNECT":
		if strings.IndexByte(t, ':') <= 0 || !table.ValidHost(t) {
			return ErrTarget
		}
		r.Host = t
		return nil
	case t[0] == '/':
		return r.split(t)
	case t == "*":
		if r.Method != "OPTIONS" {
			return ErrTarget
		}
		return nil
	}
	scheme, rest, ok := strings.Cut(t, "://")
	if !ok || !same(scheme, "http", false) && !same(scheme, "https", false) {
		return ErrTarget
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	r.Host = rest[:end]
	if r.Host == "" || strings.IndexByte(r.Host, '%') >= 0 || !table.ValidHost(r.Host) {
		return ErrTarget
	}
	return r.split(rest[end:])
}

// split splits a path from its query.
func (r *Request) split(t string) error {
	r.Path = t
	if at := strings.IndexByte(t, '?'); at >= 0 {
		r.Path, r.Query = t[:at], t[at:]
	}
	for i := 0; i < len(r.Path); i++ {
		if r.Path[i] == '%' && (i+2 >= len(r.Path) || !isHex(r.Path[i+1]) || !isHex(r.Path[i+2])) {
			return ErrTarget
		}
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// Decoded returns the path as rules are compared with it. It allocates only if the path has escapes.
func (r *Request) Decoded() string {
	if strings.IndexByte(r.Path, '%') < 0 {
		return r.Path
	}
	b := make([]byte, 0, len(r.Path))
	for i := 0; i < len(r.Path); i++ {
		c := r.Path[i]
		if c == '%' {
			c = unhex(r.Path[i+1])<<4 | unhex(r.Path[i+2])
			i += 2
		}
		b = append(b, c)
	}
	return string(b)
}

// AppendTarget appends the target for a replica: path and query. Bytes that no path may have (RFC 3986) are escaped,
// because servers refuse them raw or read them in different ways. The rest is to the letter.
func (r *Request) AppendTarget(b []byte) []byte {
	if r.Path == "" {
		b = append(b, '/')
	}
	const digits = "0123456789ABCDEF"
	for i := range len(r.Path) {
		c := r.Path[i]
		if c == '%' || classes[c]&inPath != 0 {
			b = append(b, c)
			continue
		}
		b = append(b, '%', digits[c>>4], digits[c&15])
	}
	return append(b, r.Query...)
}
