// Package page has the proxy's own answers, in words for visitors.
package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"rhumb/proxy/internal/table"
)

// Page is one of the proxy's own answers. It says what is going on in words for a visitor, and names no addresses,
// replicas or internal errors.
type Page struct {
	status int
	what   string // one line
	why    string // a sentence or two
	retry  int    // seconds; 0: retrying won't help
	close  bool
	kind   string // of body
	body   []byte // of a page that the user has made; nil: there is none
}

// String returns what the page says, in one line.
func (p Page) String() string { return p.what }

// Status returns the page's status.
func (p Page) Status() int { return p.status }

// With returns the page with a body that the user has made.
func (p Page) With(kind string, body []byte) Page {
	p.kind, p.body = kind, body
	return p
}

// NotFound answers a request that no rule fits.
func NotFound(r *http.Request) Page {
	return Page{status: http.StatusNotFound, what: "Nothing is served here",
		why: fmt.Sprintf("No service answers to %q at this path.", table.RequestHost(r.Host))}
}

// NotAllowed answers CONNECT.
func NotAllowed() Page {
	return Page{status: http.StatusMethodNotAllowed, what: "Not a forward proxy", why: "CONNECT is not served here.",
		close: true}
}

// Bad answers a request that has more than one reading.
func Bad() Page {
	return Page{status: http.StatusBadRequest, what: "The request can't be read for sure",
		why: "Where it ends isn't certain, or it breaks the rules of HTTP.", close: true}
}

// TooLarge answers a request whose header is too large.
func TooLarge() Page {
	return Page{status: http.StatusRequestHeaderFieldsTooLarge, what: "The request's header is too large",
		why: "It has too many fields, or too long ones.", close: true}
}

// Unexpected answers a request whose expectation is unknown.
func Unexpected() Page {
	return Page{status: http.StatusExpectationFailed, what: "The request expects too much",
		why: "Of the expectations of HTTP, only 100-continue is known here.", close: true}
}

// Misdirected answers a request on a connection that is for other hosts.
func Misdirected() Page {
	return Page{status: http.StatusMisdirectedRequest, what: "Another connection is needed",
		why: "This one was opened for another host name, whose certificate isn't for this one."}
}

// Banned answers a client that is banned.
func Banned(reference string) Page {
	return Page{status: http.StatusForbidden, what: "You are banned from here for now",
		why: "Unwanted requests have come from your address. If that is a mistake, please report the reference " +
			reference + ".", close: true}
}

// RefuseBanned answers a request of HTTP/2 of a client that is banned, with a header only: a body would wait for its
// client.
func RefuseBanned(w http.ResponseWriter, reference string) {
	h := w.Header()
	h.Set("Content-Length", "0")
	h.Set("Cache-Control", "no-store")
	h.Set("Ban-Reference", reference)
	h.Set("Connection", "close") // which ends the connection of HTTP/2 too
	w.WriteHeader(http.StatusForbidden)
}

// TooSlow answers a request whose body stopped coming.
func TooSlow() Page {
	return Page{status: http.StatusRequestTimeout, what: "The request stopped coming in",
		why: "No byte of its body arrived for too long.", close: true}
}

// Unready answers a request that timed out waiting for a replica.
func Unready(stack string) Page {
	return Page{status: http.StatusServiceUnavailable, what: stack + " has no ready replica",
		why: "It is being deployed or restarted. Please try again in a moment.", retry: 2}
}

// Crowded answers a request when too many are waiting already.
func Crowded(stack string) Page {
	return Page{status: http.StatusServiceUnavailable, what: stack + " has no ready replica",
		why:   "It is being deployed or restarted, and many requests wait already. Please try again in a moment.",
		retry: 5}
}

// Busy answers a request for which there is no place.
func Busy(stack string) Page {
	return Page{status: http.StatusServiceUnavailable, what: stack + " is busy",
		why: "More requests are under way than there are places for. Please try again in a moment.", retry: 1}
}

// Refuse answers a request of HTTP/2 for which there is no place, with a header only: a body would wait for its client.
func Refuse(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// Failed answers a request that its replica failed.
func Failed(stack string) Page {
	return Page{status: http.StatusBadGateway, what: stack + " did not answer",
		why: "The replica that got the request failed before it had answered."}
}

// Late answers a request whose replica took longer than its route allows.
func Late(stack string) Page {
	return Page{status: http.StatusGatewayTimeout, what: stack + " took too long to answer",
		why: "The replica that got the request had not answered in time."}
}

// Closed answers a request to a route that is under maintenance.
func Closed(stack string) Page {
	return Page{status: http.StatusServiceUnavailable, what: stack + " is closed for maintenance",
		why: "Please try again later.", retry: 120}
}

// Broken answers a request to a route whose options can't be applied.
func Broken(stack string) Page {
	return Page{status: http.StatusServiceUnavailable, what: stack + " can't be served",
		why: "What protects it is missing on this server. Its operators find the reason in the proxy's log.", retry: 30}
}

// Attack answers a request that looks like an attack.
func Attack() Page {
	return Page{status: http.StatusForbidden, what: "The request was refused",
		why: "It looks like an attack. If it is none, the operators of this site can let it pass: tell them the time."}
}

// Unseen answers a request that has to be looked at for attacks, when nothing can do that.
func Unseen(stack string) Page {
	return Page{status: http.StatusServiceUnavailable, what: stack + " can't take the request now",
		why: "What protects it isn't ready, or has too much to do. Please try again in a moment.", retry: 2}
}

// Unauthorized answers a request without the name and the password of a user.
func Unauthorized() Page {
	return Page{status: http.StatusUnauthorized, what: "A name and a password are needed",
		why: "There were none, or they were wrong."}
}

var pageHTML = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Status}} {{.What}}</title>
<style>
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1rem; color: #223 }
h1 { font-size: 1.4rem; margin: 0 } p { margin: .4rem 0 } small { color: #778 }
@media (prefers-color-scheme: dark) { body { background: #15171c; color: #dde } }
</style>
<h1>{{.What}}</h1>
<p>{{.Why}}</p>
<p><small>{{.Status}} {{.Text}}</small></p>
</html>
`))

// pageView is the JSON form of a page.
type pageView struct {
	Status int    `json:"status"`
	Text   string `json:"-"`
	What   string `json:"error"`
	Why    string `json:"detail"`
}

// Write answers in the form that the client prefers: HTML, JSON, or plain text if it names none.
func (p Page) Write(w http.ResponseWriter, r *http.Request) {
	kind, body := p.render(r.Header.Get("Accept"))
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	if p.close {
		h.Set("Connection", "close")
	}
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // if it fails, the client is gone
	}
}

func (p Page) render(accept string) (kind string, body []byte) {
	if p.body != nil {
		return p.kind, p.body
	}
	v := pageView{Status: p.status, Text: http.StatusText(p.status), What: p.what, Why: p.why}
	var b bytes.Buffer
	switch {
	case strings.Contains(accept, "text/html"):
		if err := pageHTML.Execute(&b, v); err != nil {
			panic(err) // a fixed template and four plain values
		}
		return "text/html; charset=utf-8", b.Bytes()
	case strings.Contains(accept, "json"):
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			panic(err)
		}
		return "application/json", b.Bytes()
	}
	fmt.Fprintf(&b, "%d %s: %s\n%s\n", v.Status, v.Text, v.What, v.Why)
	return "text/plain; charset=utf-8", b.Bytes()
}
