package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/rate"
)

// gate keeps an exchange within the limits of its backend.
type gate struct{ x *exchange }

// refuses answers the request if it exceeds a limit, and reports whether it does. None of its body is read. What the
// limits allow it to have under way, the end of the exchange returns.
func (g gate) refuses() bool {
	x := g.x
	set := x.snap.Limits(x.backend)
	if set == nil {
		return false
	}
	client := outgoing{x.c}.client()
	if x.c.server.trusts(client) { // it is no client, but brings those of others
		return false
	}
	no, ok := set.Admit(&x.limits, x.begun,
		rate.Request{Client: client, Path: x.path, Length: x.c.request.Length, Asked: g})
	if !ok {
		g.refuse(no)
		return true
	}
	x.upload.most = x.limits.Body
	return false
}

// Header implements rate.Asked.
func (g gate) Header(name string) string {
	fields := g.x.c.request.Fields
	for i := range fields {
		if len(fields[i].Name) == len(name) && strings.EqualFold(fields[i].Name, name) {
			return fields[i].Value
		}
	}
	return ""
}

// Route implements rate.Asked.
func (g gate) Route() string {
	x := g.x
	if x.snap.Listeners[x.c.conn.Bound].Backend != "" {
		return ""
	}
	return x.snap.Rules.Route(x.c.request.Host, x.path)
}

// tooLarge answers a request whose body turned out to be too large.
func (g gate) tooLarge() {
	x := g.x
	x.upload.stop()
	x.noteError(errTooLarge.Error())
	if set := x.snap.Limits(x.backend); set != nil {
		g.refuse(set.TooLarge(&x.limits, time.Now()))
	}
}

// refuse answers a request that exceeds a limit. That is cheap, because clients can cause as much of it as they like.
func (g gate) refuse(no rate.Refusal) {
	x, c := g.x, g.x.c
	kind, body := content(&no, http1.First(c.request.Fields, http1.Accept))
	x.last = x.last || !x.upload.whole
	x.status = no.Status
	b := appendStatus(c.out[:0], c.request.Minor, no.Status, "")
	b = appendField(b, "Content-Type", kind)
	b = append(b, "Content-Length: "...)
	b = append(strconv.AppendInt(b, int64(len(body)), 10), "\r\n"...)
	b = append(b, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"...)
	if after := no.RetryAfter(); after > 0 {
		b = append(b, "Retry-After: "...)
		b = append(strconv.AppendInt(b, int64(after), 10), "\r\n"...)
	}
	if no.Policy != "" {
		b = appendField(b, "RateLimit-Policy", no.Policy)
		b = appendField(b, "RateLimit", no.State())
	}
	b = appendField(b, "Date", c.server.dates.now(x.begun))
	b = append(x.appendConnection(b), "\r\n"...)
	if c.request.Method != http.MethodHead {
		b = append(b, body...)
		x.sent = int64(len(body))
	}
	c.out = b
	if _, err := c.conn.Write(b); err != nil {
		x.last = true
		x.noteError(leftWithin)
	}
}

// content returns what a refused request is answered.
func content(no *rate.Refusal, accept string) (kind string, body []byte) {
	if no.Wait == 0 {
		return page.TooBig(no.Status, accept)
	}
	return page.Limited(no.Status, accept)
}

// admitted answers the request if it exceeds a limit of its backend, and reports whether it exceeds none. What it may
// have under way is in pass.
func (f *forwarding) admitted(snap *backend.Snapshot, p *inbound.Progress, r *http.Request) bool {
	client := f.server.clientOf(r, addrPortOf(r.RemoteAddr).Addr())
	if f.limits == nil || f.server.trusts(client) {
		return true
	}
	no, ok := f.limits.Admit(&f.pass, time.Now(),
		rate.Request{Client: client, Path: r.URL.Path, Length: r.ContentLength, Asked: asked{snap, r}})
	if !ok {
		refuse(p, r, no)
		return false
	}
	if f.pass.Body > 0 && f.body != nil {
		f.body.Bound(f.pass.Body)
	}
	return true
}

// asked answers the questions of limits about a request on the standard path.
type asked struct {
	snap *backend.Snapshot
	r    *http.Request
}

// Header implements rate.Asked.
func (a asked) Header(name string) string { return a.r.Header.Get(name) }

// Route implements rate.Asked.
func (a asked) Route() string {
	if a.snap.Listeners[connOf(a.r).Bound].Backend != "" {
		return ""
	}
	return a.snap.Rules.Route(a.r.Host, a.r.URL.Path)
}

// refuse answers a request that exceeds a limit. Over HTTP/2 there is no body, which would wait for its client.
func refuse(w http.ResponseWriter, r *http.Request, no rate.Refusal) {
	kind, body := content(&no, r.Header.Get("Accept"))
	h := w.Header()
	if r.ProtoMajor == 2 {
		body = nil
	} else {
		h.Set("Content-Type", kind)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if after := no.RetryAfter(); after > 0 {
		h.Set("Retry-After", strconv.Itoa(after))
	}
	if no.Policy != "" { // written as in its standard, not as Go would
		h["RateLimit-Policy"] = []string{no.Policy}
		h["RateLimit"] = []string{no.State()}
	}
	w.WriteHeader(no.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // if it fails, the client is gone
	}
}
