package proxy

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

// page is an answer of the proxy itself. It says what is going on in the words of the person who asked, and names
// no addresses, replicas or errors of the inside.
type page struct {
	status int
	what   string // one line
	why    string // a sentence or two
	retry  int    // seconds; 0: trying again won't help
	close  bool
}

func pageNotFound(r *http.Request) page {
	return page{status: http.StatusNotFound, what: "Nothing is served here",
		why: fmt.Sprintf("No service answers to %q at this path.", table.RequestHost(r.Host))}
}

func pageNotAllowed() page {
	return page{status: http.StatusMethodNotAllowed, what: "Not a forward proxy", why: "CONNECT is not served here.", close: true}
}

func pageBad() page {
	return page{status: http.StatusBadRequest, what: "The request can't be read for sure",
		why: "Where it ends isn't certain, or it breaks the rules of HTTP.", close: true}
}

func pageMisdirected() page {
	return page{status: http.StatusMisdirectedRequest, what: "Another connection is needed",
		why: "This one was opened for another host name, whose certificate isn't for this one."}
}

func pageTooSlow() page {
	return page{status: http.StatusRequestTimeout, what: "The request stopped coming in",
		why: "No byte of its body arrived for too long.", close: true}
}

func pageUnready(stack string) page {
	return page{status: http.StatusServiceUnavailable, what: stack + " has no ready replica",
		why: "It is being deployed or restarted. Please try again in a moment.", retry: 2}
}

func pageCrowded(stack string) page {
	return page{status: http.StatusServiceUnavailable, what: stack + " has no ready replica",
		why: "It is being deployed or restarted, and many requests wait already. Please try again in a moment.", retry: 5}
}

func pageFailed(stack string) page {
	return page{status: http.StatusBadGateway, what: stack + " did not answer",
		why: "The replica that got the request failed before it had answered."}
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

// pageView is a page in the words of its JSON form.
type pageView struct {
	Status int    `json:"status"`
	Text   string `json:"-"`
	What   string `json:"error"`
	Why    string `json:"detail"`
}

// write answers in the form that the client prefers: HTML, JSON, or plain text for those that don't say.
func (p page) write(w http.ResponseWriter, r *http.Request) {
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
		_, _ = w.Write(body) // a client that is gone is nobody to tell
	}
}

func (p page) render(accept string) (kind string, body []byte) {
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
