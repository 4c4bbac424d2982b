package table

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

// Rules leads a host and path to a backend's name. It is immutable.
type Rules struct {
	hosts map[string][]pathRule // by "shop.example.com", "*.example.com" or ""; the longest paths first
}

type pathRule struct{ path, backend string }

// Compile makes rules quick to match.
func Compile(rules []rhumb.Rule) Rules {
	s := Rules{hosts: map[string][]pathRule{}}
	for _, r := range rules {
		h := NormalHost(r.Host)
		s.hosts[h] = append(s.hosts[h], pathRule{path: normalPrefix(r.Path), backend: r.Backend})
	}
	for _, paths := range s.hosts {
		slices.SortStableFunc(paths, func(a, b pathRule) int { return cmp.Compare(len(b.path), len(a.path)) })
	}
	return s
}

// Match gives the backend for a request's Host header and path. Hosts are tried from the most exact to the least, and
// the first that has a rule for the path wins, with its longest: an exact name's rule for /v1 doesn't hide what "" says
// of /.
func (s Rules) Match(hostport, path string) (backend string, ok bool) {
	host := RequestHost(hostport)
	if b, ok := matchPath(s.hosts[host], path); ok && host != "" {
		return b, true
	}
	if _, parent, ok := strings.Cut(host, "."); ok && parent != "" {
		if b, ok := matchPath(s.hosts["*."+parent], path); ok {
			return b, true
		}
	}
	return matchPath(s.hosts[""], path)
}

func matchPath(rules []pathRule, path string) (string, bool) {
	for _, r := range rules {
		if underPrefix(r.path, path) {
			return r.backend, true
		}
	}
	return "", false
}

// underPrefix tells whether path is prefix or beneath it: "/v1" has "/v1" and "/v1/a", not "/v10".
func underPrefix(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (prefix == "" || rest == "" || rest[0] == '/')
}

// normalPrefix makes "/", "" and a missing or last slash the same thing: "/v1/" is "/v1", "/" is "".
func normalPrefix(p string) string { return strings.TrimRight(p, "/") }

// NormalHost gives a name as it is compared: lower-case, without the root's dot.
func NormalHost(h string) string { return strings.TrimSuffix(strings.ToLower(h), ".") }

// RequestHost gives the name in a Host header, lower-case, without port, brackets or the root's dot. A star is no
// part of any name: one that a client sends must not hit a wildcard's own entry.
func RequestHost(hostport string) string {
	h := hostport
	if strings.HasPrefix(h, "[") {
		if inner, _, ok := strings.Cut(h[1:], "]"); ok {
			return strings.ToLower(inner)
		}
	}
	if name, _, err := net.SplitHostPort(h); err == nil {
		h = name
	}
	if strings.HasPrefix(h, "*") {
		return ""
	}
	return NormalHost(h)
}

// nameBytes are those of a registered name.
const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;="

// ValidHost reports whether a Host header names a host, with or without a port, as RFC 3986 has it; "" names none and
// is valid.
func ValidHost(hostport string) bool {
	if hostport == "" {
		return true
	}
	name, rest := hostport, ""
	if inner, ok := strings.CutPrefix(hostport, "["); ok {
		name, rest, ok = strings.Cut(inner, "]")
		if addr, err := netip.ParseAddr(name); !ok || err != nil || !addr.Is6() {
			return false
		}
	} else if at := strings.IndexByte(hostport, ':'); at >= 0 {
		name, rest = hostport[:at], hostport[at:]
	}
	port, ok := strings.CutPrefix(rest, ":")
	return name != "" && (ok || rest == "") && strings.Trim(port, "0123456789") == "" &&
		(hostport[0] == '[' || strings.Trim(name, nameBytes) == "")
}
