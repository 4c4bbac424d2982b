package table

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"rhumb"
)

// Rules map a host and path to the name of a backend. They are immutable.
type Rules struct {
	hosts   map[string][]pathRule // by "shop.example.com", "*.example.com" or ""; the longest paths first
	guarded bool                  // a rule with a path asks for passwords
}

type pathRule struct {
	Found
	guarded bool // it asks for passwords
}

// Found is the rule of a request.
type Found struct {
	Backend string
	Path    string // of the rule, without a last slash
	Route   string // its address
	Options string // the ID; "": none
}

// Compile returns rules that are quick to match.
func Compile(rules []rhumb.Rule, options []rhumb.TableOptions) Rules {
	guarded := map[string]bool{}
	for _, o := range options {
		guarded[o.ID] = o.Auth != nil
	}
	s := Rules{hosts: map[string][]pathRule{}}
	for _, r := range rules {
		h := NormalHost(r.Host)
		route := rhumb.Route{Host: r.Host, Path: r.Path}.Address()
		p := pathRule{Found{r.Backend, normalPrefix(r.Path), route, r.Options}, guarded[r.Options]}
		s.hosts[h] = append(s.hosts[h], p)
		s.guarded = s.guarded || p.guarded && p.Path != ""
	}
	for _, paths := range s.hosts {
		slices.SortStableFunc(paths, func(a, b pathRule) int { return cmp.Compare(len(b.Path), len(a.Path)) })
	}
	return s
}

// Match returns the backend for a request's Host header and path.
func (s Rules) Match(hostport, path string) (backend string, ok bool) {
	f, ok := s.Find(hostport, path)
	return f.Backend, ok
}

// Route returns the address of the rule that Find finds; "": there is none.
func (s Rules) Route(hostport, path string) string {
	f, _ := s.Find(hostport, path)
	return f.Route
}

// Find returns the rule for a request's Host header and decoded path. It tries hosts from the most exact to the least.
// The first host with a rule for the path wins, with its longest path: an exact name's rule for /v1 doesn't hide the
// rule of "" for /.
func (s Rules) Find(hostport, path string) (Found, bool) {
	r := s.find(RequestHost(hostport), path)
	if r == nil {
		return Found{}, false
	}
	return r.Found, true
}

func (s Rules) find(host, path string) *pathRule {
	if r := matchPath(s.hosts[host], path); r != nil && host != "" {
		return r
	}
	if _, parent, ok := strings.Cut(host, "."); ok && parent != "" {
		if r := matchPath(s.hosts["*."+parent], path); r != nil {
			return r
		}
	}
	return matchPath(s.hosts[""], path)
}

// Evades reports whether a path has a second reading that belongs to another rule, one that asks for passwords. Many
// servers take "/x/../admin", "//admin" or "/admin;a" for "/admin".
func (s Rules) Evades(hostport, path string) bool {
	if !s.guarded || onlyReading(path) {
		return false
	}
	clean := Plain(path)
	if clean == path {
		return false
	}
	host := RequestHost(hostport)
	is, other := s.find(host, path), s.find(host, clean)
	return other != nil && other.guarded && other != is
}

// onlyReading reports whether Plain would change nothing of a path but the slash at its end. It is quicker.
func onlyReading(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "%\\; \x00") &&
		!strings.Contains(path, "//") && !strings.Contains(path, "/.")
}

// Plain returns a decoded path as the most tolerant servers read it: they merge slashes, resolve dots, take "\" for
// "/", decode once more, and drop parameters. A client must not get past a rule by writing the path in another way.
func Plain(path string) string {
	if onlyReading(path) {
		return path[:max(1, len(strings.TrimRight(path, "/")))]
	}
	if again, err := url.PathUnescape(path); err == nil {
		path = again
	}
	var kept []string
	for part := range strings.SplitSeq(strings.ReplaceAll(path, "\\", "/"), "/") {
		part, _, _ = strings.Cut(part, ";")
		switch strings.TrimRight(part, " \x00") {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, part)
		}
	}
	return "/" + strings.Join(kept, "/")
}

func matchPath(rules []pathRule, path string) *pathRule {
	for i := range rules {
		if UnderPrefix(rules[i].Path, path) {
			return &rules[i]
		}
	}
	return nil
}

// UnderPrefix reports whether path is prefix or beneath it: "/v1" has "/v1" and "/v1/a", not "/v10". A prefix has no
// last slash: that of all paths is "".
func UnderPrefix(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (prefix == "" || rest == "" || rest[0] == '/')
}

// Under reports whether a decoded path is a prefix or beneath it, however a server reads the path: one that could lead
// elsewhere, such as "/v1/../admin", isn't beneath "/v1".
func Under(prefix, path string) bool {
	return UnderPrefix(prefix, path) && strings.TrimRight(path, "/") == strings.TrimRight(Plain(path), "/")
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
