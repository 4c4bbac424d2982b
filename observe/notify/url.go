package notify

import (
	"cmp"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/observe"
)

// endpoint is what the URL of a receiver says.
type endpoint struct {
	name     string // what people and logs see: without user, password, parameters and path
	kind     string // webhook, slack, discord, ntfy, mail, alertmanager or deadman
	raw      string // the URL as it was given, to find out whether two are the same
	url      string // for HTTP: where to post, without credentials
	user     string
	password string
	address  string // for mail: host and port
	host     string // for mail
	tls      bool   // for mail: TLS from the beginning
	from     string
	to       []string
}

// scheme is the beginning of a URL.
type scheme struct {
	kind string
	http string // the scheme of HTTP; "": it is mail
	port string // of mail, by default
}

var schemes = map[string]scheme{
	"https":              {kind: "webhook", http: "https"},
	"http":               {kind: "webhook", http: "http"},
	"slack+https":        {kind: "slack", http: "https"},
	"discord+https":      {kind: "discord", http: "https"},
	"ntfy+https":         {kind: "ntfy", http: "https"},
	"ntfy+http":          {kind: "ntfy", http: "http"},
	"alertmanager+https": {kind: "alertmanager", http: "https"},
	"alertmanager+http":  {kind: "alertmanager", http: "http"},
	"deadman+https":      {kind: "deadman", http: "https"},
	"deadman+http":       {kind: "deadman", http: "http"},
	"smtp":               {kind: "mail", port: "587"},
	"smtps":              {kind: "mail", port: "465"},
}

func knownSchemes() string {
	var names []string
	for name := range schemes {
		names = append(names, name)
	}
	slices.Sort(names)
	return "schemes are " + strings.Join(names, ", ")
}

// CheckURLs returns an Invalid error if the URL of a receiver can't be used, or if two are the same. The error has no
// secrets.
func CheckURLs(urls ...string) error {
	_, err := parseAll(urls)
	return err
}

func parseAll(urls []string) ([]endpoint, error) {
	var all []endpoint
	for _, raw := range urls {
		e, err := parse(raw)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o endpoint) bool { return o.raw == raw }) {
			return nil, e.wrong("it is configured twice", "remove one")
		}
		all = append(all, e)
	}
	return all, nil
}

func (e *endpoint) wrong(what, hint string, args ...any) error {
	return rhumb.Errorf(rhumb.Invalid, "alert receiver %s: %s", e.name, what).WithHint(hint, args...)
}

// parse reads a URL. The words of the standard library's parser may have a secret, so they don't go into errors.
func parse(raw string) (endpoint, error) {
	name, _, ok := strings.Cut(raw, "://")
	s, known := schemes[name]
	e := endpoint{name: name + "://…", kind: s.kind, raw: raw}
	switch {
	case !ok || name == "" || !known && (len(name) > 40 || !observe.IsPrintable(name)):
		return e, rhumb.Errorf(rhumb.Invalid, "alert receiver: this is not a URL").
			WithHint("write it as slack+https://HOST/PATH or smtp://HOST; %s", knownSchemes())
	case !known:
		return e, rhumb.Errorf(rhumb.Invalid, "alert receiver: unknown scheme %q", name).WithHint("%s", knownSchemes())
	}
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsAny(raw, " \t\r\n") {
		return e, e.wrong("the URL can't be read",
			"write characters such as / @ : %% of user and password as %%2F %%40 %%3A %%25")
	}
	switch n, err := strconv.Atoi(cmp.Or(u.Port(), "1")); {
	case !observe.IsHost(u.Hostname()):
		return e, e.wrong("a host name is missing, or can't be one", "write it as %s://HOST", name)
	case err != nil || n < 1 || n > 65535:
		return e, e.wrong("the port is out of range", "ports go from 1 to 65535")
	case u.Fragment != "" || u.RawFragment != "":
		return e, e.wrong("a fragment (#) isn't allowed", "write # as %%23")
	}
	e.name = name + "://" + u.Host
	if u.User != nil {
		e.user = u.User.Username()
		e.password, _ = u.User.Password()
	}
	if s.kind == "mail" {
		return e, e.mail(u, s, name == "smtps")
	}
	return e, e.web(u, s)
}

// web reads a receiver that is reached over HTTP.
func (e *endpoint) web(u *url.URL, s scheme) error {
	path := strings.Trim(u.Path, "/")
	switch {
	case (e.kind == "slack" || e.kind == "discord") && path == "":
		return e.wrong("the path is missing", "copy the whole address of the webhook, with %s+ before it", e.kind)
	case e.kind == "ntfy" && path == "":
		return e.wrong("the topic is missing", "write it as %s/TOPIC", e.name)
	case e.kind == "alertmanager" && u.RawQuery != "":
		return e.wrong("it has no parameters", "write it as %s", e.name)
	}
	if path != "" || u.RawQuery != "" {
		e.name += "/…" // both may be secrets
	}
	to := *u
	to.Scheme, to.User = s.http, nil
	e.url = to.String()
	return nil
}

// mail reads a mail server, and who writes to which addresses.
func (e *endpoint) mail(u *url.URL, s scheme, tls bool) error {
	e.host, e.tls = u.Hostname(), tls
	e.address = net.JoinHostPort(e.host, cmp.Or(u.Port(), s.port))
	query, err := url.ParseQuery(u.RawQuery)
	const hint = "write it as smtp://USER:PASSWORD@HOST:587/?from=ADDRESS&to=ADDRESS"
	switch {
	case err != nil || strings.Trim(u.Path, "/") != "":
		return e.wrong("the URL can't be read", hint)
	case len(query["from"]) != 1 || len(query["to"]) == 0:
		return e.wrong("from and to are missing", hint)
	}
	for name := range query {
		if name != "from" && name != "to" {
			return e.wrong("unknown parameter", "parameters are from and to")
		}
	}
	var ok bool
	if e.from, ok = address(query["from"][0]); !ok {
		return e.wrong("from isn't an address", hint)
	}
	for _, list := range query["to"] {
		for one := range strings.SplitSeq(list, ",") {
			to, ok := address(one)
			if !ok {
				return e.wrong("to isn't an address, or a list with commas", hint)
			}
			e.to = append(e.to, to)
		}
	}
	if !tls && e.user != "" && !loopback(e.host) && e.password == "" {
		return e.wrong("the password is missing", hint)
	}
	return nil
}

// address returns a plain address: "ops@example.com".
func address(s string) (string, bool) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || strings.ContainsFunc(a.Address, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", false
	}
	return a.Address, true
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
