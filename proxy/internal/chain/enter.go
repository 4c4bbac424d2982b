package chain

import (
	"net/http"
	"net/netip"
	"strings"

	"rhumb"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/table"
)

// Request is what a chain looks at before a request is forwarded.
type Request struct {
	Host          string // with its port, as the client wrote it
	Path          string // undecoded
	Query         string // from "?" on
	Prefix        string // the path of the rule, decoded and without a last slash
	Authorization string
	Client        netip.Addr
	Stack         string // for the words of pages
}

// Answer is what a client gets instead of an answer of a replica.
type Answer struct {
	page   page.Page
	status int // of an answer without a page; 0: the page's
	fields []rhumb.HeaderField
}

// Write answers.
func (a *Answer) Write(w http.ResponseWriter, r *http.Request) {
	for _, f := range a.fields {
		w.Header().Set(f.Name, f.Value)
	}
	if a.status == 0 {
		a.page.Write(w, r)
		return
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(a.status)
}

// String returns why the proxy answers; "" for a redirect.
func (a *Answer) String() string {
	if a.status != 0 {
		return ""
	}
	return a.page.String()
}

// Enter does what comes before a request is forwarded. It returns the user that has come in, if users are asked for
// passwords, or the answer that the client gets instead.
func (c *Chain) Enter(r *Request) (user string, instead *Answer) {
	switch {
	case c == nil:
		return "", nil
	case c.broken:
		return "", &Answer{page: page.Broken(r.Stack)}
	case c.canonical != "" && table.RequestHost(r.Host) != c.canonical:
		return "", c.toCanonical(r)
	case c.redirect != nil:
		return "", c.redirect.answer(r)
	case c.closed != nil:
		p := page.Closed(r.Stack)
		if c.closed.kind != "" {
			p = p.With(c.closed.kind, c.closed.body)
		}
		return "", &Answer{page: p}
	case c.gate == nil:
		return "", nil
	}
	user, out := c.gate.enter(r.Client, r.Authorization)
	switch out {
	case passed:
		return user, nil
	case crowded:
		return "", &Answer{page: c.Page(page.Busy(r.Stack))}
	}
	return "", &Answer{page: c.Page(page.Unauthorized()),
		fields: []rhumb.HeaderField{{Name: "Www-Authenticate", Value: c.gate.challenge}}}
}

// toCanonical sends a client to the same page at the canonical host, with the scheme and the port of its request.
func (c *Chain) toCanonical(r *Request) *Answer {
	to := append([]byte("//"), c.canonical...)
	if !strings.HasSuffix(r.Host, "]") {
		if at := strings.LastIndexByte(r.Host, ':'); at >= 0 && at+1 < len(r.Host) {
			to = append(to, r.Host[at:]...)
		}
	}
	to = appendEscaped(to, oneSlash(r.Path))
	to = appendEscaped(to, r.Query)
	return moved(http.StatusPermanentRedirect, string(to),
		rhumb.HeaderField{Name: "Cache-Control", Value: "no-store"}) // the choice may change with the next table
}

func moved(status int, to string, more ...rhumb.HeaderField) *Answer {
	return &Answer{status: status, fields: append(more, rhumb.HeaderField{Name: "Location", Value: to})}
}

// Strips reports whether replicas get paths without the route's.
func (c *Chain) Strips() bool { return c != nil && c.strip }
