package page

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// Limited returns the content of the answer to a request that comes too often, in the form that the client prefers. It
// is rendered once.
func Limited(status int, accept string) (kind string, body []byte) {
	return limited.content(status, accept, "Too many requests",
		"More come from you than are allowed. Please try again in a moment.")
}

// TooBig returns the content of the answer to a request whose body is too large. It is rendered once.
func TooBig(status int, accept string) (kind string, body []byte) {
	return tooBig.content(status, accept, "The request is too large", "Its body has more bytes than are allowed.")
}

// rendered is a page in one form.
type rendered struct {
	kind string
	body []byte
}

// forms are the forms of a page: HTML, JSON and plain text.
type forms [3]atomic.Pointer[rendered]

// pages are a page with each status from 400 to 599.
type pages [200]forms

var limited, tooBig pages

func (p *pages) content(status int, accept, what, why string) (kind string, body []byte) {
	form := 2
	switch {
	case strings.Contains(accept, "text/html"):
		form, accept = 0, "text/html"
	case strings.Contains(accept, "json"):
		form, accept = 1, "application/json"
	}
	if status < 400 || status > 599 {
		status = http.StatusTooManyRequests
	}
	at := &p[status-400][form]
	r := at.Load()
	if r == nil {
		r = &rendered{}
		r.kind, r.body = Page{status: status, what: what, why: why}.render(accept)
		at.Store(r)
	}
	return r.kind, r.body
}
