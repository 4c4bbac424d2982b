package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rhumb"
)

var daemonAway = rhumb.Errorf(rhumb.Unavailable, "the daemon doesn't answer on /run/rhumb/rhumb.sock")

// calm are the headers of every answer, whatever its status.
func calm(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestEveryPageAnswersInEveryState(t *testing.T) {
	states := map[string]func(*world){
		"all well":    func(*world) {},
		"daemon away": func(w *world) { w.down = daemonAway },
		"daemon wrong": func(w *world) {
			w.down = rhumb.Errorf(rhumb.Internal, "no")
		},
		"nothing deployed": func(w *world) { *w = *newWorld() },
		"no metrics":       func(w *world) { w.noMetrics = rhumb.Errorf(rhumb.Unavailable, "no metrics") },
		"no alerts":        func(w *world) { w.noAlerts = rhumb.Errorf(rhumb.Unavailable, "no alerts") },
	}
	for name, set := range states {
		t.Run(name, func(t *testing.T) {
			w := shopWorld()
			set(w)
			s := w.server()
			for _, p := range pages {
				path := strings.NewReplacer("{stack}", "shop", "{id}", "812").Replace(p.path)
				rec := get(t, s, path)
				calm(t, rec.Header())
				if rec.Code >= 500 && w.down == nil {
					t.Errorf("%s: %d: %s", path, rec.Code, rec.Body)
				}
				body := rec.Body.String()
				if rec.Body.Len() > 100<<10 {
					t.Errorf("%s has %d bytes, want under 100 kB", path, rec.Body.Len())
				}
				if strings.Contains(body, "style=") || strings.Contains(body, "<script>") || strings.Contains(body, " onclick=") {
					t.Errorf("%s has something inline, which its policy forbids", path)
				}
				if !strings.Contains(body, "</html>") || !strings.Contains(body, "<h1") {
					t.Errorf("%s isn't a whole page:\n%s", path, body)
				}
				if strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "%!") {
					t.Errorf("%s has something that its template refuses or can't format:\n%s", path, body)
				}
			}
		})
	}
}

func TestTheStacksPageShowsEachStack(t *testing.T) {
	rec := get(t, shopWorld().server(), "/stacks")
	contains(t, rec, 200, `href="/stacks/shop"`, "serving", "42", "blog", "converged: shop@42 serves", "svg", "1 alert")
}

func TestStacksAreNamedWhileTheDaemonIsAway(t *testing.T) {
	w := shopWorld()
	w.down = daemonAway
	rec := get(t, w.server(), "/stacks")
	contains(t, rec, 200, "The daemon doesn't answer", `href="/stacks/shop"`, `href="/stacks/blog"`, "unknown",
		"74.2/s", "as measured within the last day")
	lacks(t, rec, "Nothing is deployed yet")
}

func TestAnEmptyServerSaysHowToBegin(t *testing.T) {
	contains(t, get(t, newWorld().server(), "/stacks"), 200, "Nothing is deployed yet", "rhumb deploy")
	contains(t, get(t, newWorld().server(), "/certificates"), 200, "No host is served over TLS")
}

func TestCertificatesShowWhatNeedsALook(t *testing.T) {
	rec := get(t, shopWorld().server(), "/certificates")
	contains(t, rec, 200, "3 hosts", "1 to look at", "renewal fails", "connection refused", "in 60d")
}

func TestStaticsAreKeptByBrowsers(t *testing.T) {
	s := newWorld().server()
	for name, kind := range map[string]string{"style.css": "text/css", "script.js": "text/javascript",
		"favicon.svg": "image/svg+xml"} {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, asset(name), nil)
		r.Host = "127.0.0.1:7484"
		s.handler().ServeHTTP(rec, r)
		calm(t, rec.Header())
		if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), kind) ||
			!strings.Contains(rec.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, rec.Code, rec.Header())
		}
	}
	if n := len(statics["script.js"]); n >= 10_000 {
		t.Errorf("the script has %d bytes, want under 10 kB", n)
	}
}
