package chain

import (
	"strings"

	"rhumb"
	"rhumb/internal/routeoption"
)

// redirect is a rhumb.Redirect, taken apart.
type redirect struct {
	routeoption.Destination
	status int
	exact  bool
}

func redirectOf(r *rhumb.Redirect) (*redirect, error) {
	if r == nil {
		return nil, nil
	}
	t, err := routeoption.Split(r.To, r.Exact)
	if err != nil {
		return nil, err
	}
	return &redirect{t, r.Status, r.Exact}, nil
}

// answer returns the redirect of a request. Nothing of the request can choose another host: the origin is the option's,
// and a path without one begins with exactly one slash.
func (t *redirect) answer(r *Request) *Answer {
	to := append([]byte(nil), t.Origin...)
	if t.exact {
		to = append(to, t.Path...)
		if len(t.Path) == 0 {
			to = append(to, '/')
		}
		return moved(t.status, string(append(to, t.Query...)))
	}
	base := strings.TrimRight(t.Path, "/")
	rest := Strip(r.Path, r.Prefix)
	if base == "" || rest != "/" || strings.HasSuffix(r.Path, "/") {
		base += rest
	}
	to = appendEscaped(to, base)
	return moved(t.status, string(appendEscaped(to, r.Query)))
}

// Strip returns an undecoded path without a prefix of its decoded form. What is left begins with exactly one slash: it
// would be the name of a host otherwise, for a browser that is redirected to it.
func Strip(path, prefix string) string {
	at := 0
	for range len(prefix) {
		switch {
		case at >= len(path):
			return "/"
		case path[at] == '%':
			at += 3
		default:
			at++
		}
	}
	return oneSlash(path[min(at, len(path)):])
}

// oneSlash returns a path that begins with exactly one slash.
func oneSlash(path string) string {
	if len(path) > 0 && path[0] == '/' && (len(path) == 1 || path[1] != '/') {
		return path
	}
	return "/" + strings.TrimLeft(path, "/")
}

// appendEscaped appends a path or a query. Bytes that a URL can't have are escaped, above all those that could end the
// line or be taken for a slash.
func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}#", c) >= 0 {
			b = append(b, '%', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, s[i])
	}
	return b
}
