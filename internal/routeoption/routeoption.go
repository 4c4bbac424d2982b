// Package routeoption says which options of routes can be served, in words for the person who wrote them. Compose and
// the proxy both ask it: what comes over the proxy's socket is checked like what comes from a file.
package routeoption

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"rhumb"
)

// Bounds of options.
const (
	MaxPage    = 256 << 10 // bytes of a page
	MaxBuffer  = 8 << 20   // bytes of a body that is buffered
	MaxFields  = 50        // changes of a header
	maxValue   = 4 << 10   // bytes of a value
	maxPages   = 20
	maxTarget  = 2 << 10 // bytes of where a redirect goes
	maxRealm   = 100
	maxHostLen = 253
)

// Validate returns an error if options can't be served.
func Validate(o *rhumb.RouteOptions) error {
	if o.Redirect != nil {
		if _, err := Split(o.Redirect.To, o.Redirect.Exact); err != nil {
			return err
		}
		if !RedirectStatus(o.Redirect.Status) {
			return fmt.Errorf("%d is not a status of a redirect", o.Redirect.Status)
		}
	}
	if o.Canonical != "" && !IsHost(o.Canonical) {
		return fmt.Errorf("%q is not a host name", o.Canonical)
	}
	if o.Auth != nil {
		if err := Realm(o.Auth.Realm); err != nil {
			return err
		}
	}
	if err := changes(o.Request, RequestField); err != nil {
		return err
	}
	if err := changes(o.Response, ResponseField); err != nil {
		return err
	}
	if err := pages(o.Pages); err != nil {
		return err
	}
	if err := files(o); err != nil {
		return err
	}
	if err := waf(o.WAF); err != nil {
		return err
	}
	t := o.Timeouts
	if t.Header < 0 || t.Idle < 0 || t.Whole < 0 {
		return errors.New("a timeout is negative")
	}
	if b := o.Buffer; b.Request < 0 || b.Response < 0 || b.Request > MaxBuffer || b.Response > MaxBuffer {
		return errors.New("a buffer's size is out of range")
	}
	return nil
}

// files checks the hashes, by which the files are found.
func files(o *rhumb.RouteOptions) error {
	for _, f := range o.Files() {
		if f.Hash == "" || strings.Trim(f.Hash, "0123456789abcdef") != "" {
			return fmt.Errorf("%s %s: %q is not a hash", f.Kind, f.Name, f.Hash)
		}
	}
	return nil
}

func pages(ps []rhumb.ErrorPage) error {
	seen := map[int]bool{}
	for _, p := range ps {
		if !PageStatus(p.Status) || seen[p.Status] {
			return fmt.Errorf("%d is not a status of an error, or it is there twice", p.Status)
		}
		seen[p.Status] = true
	}
	if len(ps) > maxPages {
		return fmt.Errorf("more than %d pages", maxPages)
	}
	return nil
}

// PageStatus reports whether there may be a page for a status: 400 to 599, 4 and 5.
func PageStatus(status int) bool { return status == 4 || status == 5 || 400 <= status && status < 600 }

// RedirectStatus reports whether a status is one of the redirects that can be chosen.
func RedirectStatus(status int) bool {
	return status == 301 || status == 302 || status == 307 || status == 308
}

// Destination is where a redirect goes.
type Destination struct {
	Origin string // "https://shop.example.com:8443", "//shop.example.com"; "": the same
	Host   string // of the origin, without a port
	Path   string // "" or one that begins with a slash
	Query  string // from "?" on
}

var (
	host     = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
	hostPort = regexp.MustCompile(`^([^:]+)(:[0-9]{1,5})?$`)
	pathText = regexp.MustCompile(`^(/|/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}|/)*)$`)
	query    = regexp.MustCompile(`^\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$`)
)

// Split takes a redirect's To apart. Only one that is exact may have a query.
func Split(to string, exact bool) (t Destination, err error) {
	if len(to) > maxTarget {
		return t, fmt.Errorf("it is longer than %d characters", maxTarget)
	}
	rest := to
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
		scheme, after, ok := strings.Cut(to, "//")
		if !ok || scheme != "" && scheme != "http:" && scheme != "https:" {
			return t, fmt.Errorf("%q begins neither with http:// or https:// nor with a slash", to)
		}
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		m := hostPort.FindStringSubmatch(strings.ToLower(after[:end]))
		if m == nil || !IsHost(m[1]) {
			return t, fmt.Errorf("%q is not a host name", after[:end])
		}
		t.Origin, t.Host, rest = scheme+"//"+strings.ToLower(after[:end]), m[1], after[end:]
	}
	if at := strings.IndexByte(rest, '?'); at >= 0 {
		t.Query, rest = rest[at:], rest[:at]
		if !exact {
			return t, fmt.Errorf("%q has a query, which only an exact redirect can have", to)
		}
		if !query.MatchString(t.Query) {
			return t, fmt.Errorf("%q is not a query", t.Query)
		}
	}
	if rest != "" && (!pathText.MatchString(rest) || strings.Contains(rest, "//")) {
		return t, fmt.Errorf("%q is not a path", rest)
	}
	t.Path = rest
	return t, nil
}

// IsHost reports whether s is a host name in lower case.
func IsHost(s string) bool { return len(s) <= maxHostLen && host.MatchString(s) }

// Realm returns an error if a realm can't be shown: it is a text of ASCII without quotes.
func Realm(s string) error {
	if s == "" || len(s) > maxRealm || strings.ContainsAny(s, `"\`) || strings.ContainsFunc(s, unprintable) {
		return fmt.Errorf("%q is not a realm: it has 1 to %d printable characters of ASCII, and no quotes", s, maxRealm)
	}
	return nil
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }
