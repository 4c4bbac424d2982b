package table

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

// Rules map a host and path to the name of a backend. They are immutable.
type Rules struct {
	hosts map[string][]pathRule // by "shop.example.com", "*.example.com" or ""; the longest paths first
}

type pathRule struct {
	path, backend string
	route         string // its address
}

// Compile returns rules that are quick to match.
func Compile(rules []rhumb.Rule) Rules {
	s := Rules{hosts: map[string][]pathRule{}}
	for _, r := range rules {
		h := NormalHost(r.Host)
		s.hosts[h] = append(s.hosts[h], pathRule{normalPrefix(r.Path), r.Backend,
			rhumb.Route{Host: r.Host, Path: r.Path}.Address()})
	}
	for _, paths := range s.hosts {
		slices.SortStableFunc(paths, func(a, b pathRule) int { return cmp.Compare(len(b.path), len(a.path)) })
	}
	return s
}

// Match returns the backend for a request's Host header and path. It tries hosts from the most exact to the least. The
// first host with a rule for the path wins, with its longest path: an exact name's rule for /v1 doesn't hide the rule
// of "" for /.
func (s Rules) Match(hostport, path string) (backend string, ok bool) {
	r, ok := s.find(hostport, path)
	return r.backend, ok
}

// Route returns the address of the rule that Match finds; "": there is none.
func (s Rules) Route(hostport, path string) string {
	r, _ := s.find(hostport, path)
	return r.route
}

func (s Rules) find(hostport, path string) (r pathRule, ok bool) {
	host := RequestHost(hostport)
	if r, ok := matchPath(s.hosts[host], path); ok && host != "" {
		return r, true
	}
	if _, parent, ok := strings.Cut(host, "."); ok && parent != "" {
		if r, ok := matchPath(s.hosts["*."+parent], path); ok {
			return r, true
		}
	}
	return matchPath(s.hosts[""], path)
}

func matchPath(rules []pathRule, path string) (r pathRule, ok bool) {
	for _, r := range rules {
		if underPrefix(r.path, path) {
			return r, true
		}
	}
	return pathRule{}, false
}

// underPrefix reports whether path is prefix or beneath it: "/v1" has "/v1" and "/v1/a", not "/v10".
func underPrefix(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (prefix == "" || rest == "" || rest[0] == '/')
}

// normalPrefix makes "/", "" and a missing or last slash the same thing: "/v1/" is "/v1", "/" is "".
func normalPrefix(p string) string { return strings.TrimRight(p, "/") }

// NormalHost returns a name as it is compared: lower-case, without the root's dot.
func NormalHost(h string) string { return strings.TrimSuffix(strings.ToLower(h), ".") }

// RequestHost returns the name in a Host header, lower-case, without port, brackets or the root's dot. It returns ""
// for a name with a star: a client that sends one must not match a wildcard's own entry.
func RequestHost(hostport string) string {
	h := hostport
	if strings.HasPrefix(h, "[") {
		if inner, _, ok := strings.Cut(h[1:], "]"); ok {
			return strings.ToLower(inner)
		}
	}
	if strings.IndexByte(h, ':') >= 0 { // without a port, the error of SplitHostPort would take memory
		if name, _, err := net.SplitHostPort(h); err == nil {
			h = name
		}
	}
	if strings.HasPrefix(h, "*") {
		return ""
	}
	return NormalHost(h)
}

// nameBytes are the bytes of a registered name.
const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;="

// ValidHost reports whether a Host header names a host, with or without a port, as RFC 3986 defines it. "" names none
// and is valid.
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
