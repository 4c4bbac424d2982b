package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// request returns a request of a browser that has no session.
func request(method, path, host string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	return r
}

func respond(s *server, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, r)
	return rec
}

func TestTheKeyLetsABrowserInAndLeavesTheAddress(t *testing.T) {
	s := shopWorld().server()
	rec := respond(s, request("GET", "/stacks/shop?tab=1&key="+testKey, "127.0.0.1:7484"))
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/stacks/shop?tab=1" {
		t.Fatalf("%d to %q, want 303 to the address without the key", rec.Code, rec.Header().Get("Location"))
	}
	c := rec.Result().Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.MaxAge != 30*24*3600 || c.Path != "/" {
		t.Errorf("the cookie is %+v", c)
	}
	if strings.Contains(c.Value, testKey) {
		t.Error("the cookie has the key")
	}
	r := request("GET", "/stacks", "127.0.0.1:7484")
	r.AddCookie(c)
	contains(t, respond(s, r), 200, "shop")
}

func TestWithoutTheKeyThePageSaysHowToGetIn(t *testing.T) {
	s := shopWorld().server()
	for _, path := range []string{"/", "/stacks", "/stacks/shop", "/live", "/nothing", "/certificates"} {
		rec := respond(s, request("GET", path, "localhost:7484"))
		contains(t, rec, http.StatusUnauthorized, "rhumb dashboard")
		lacks(t, rec, "shop-web", "/theme", "<nav")
		calm(t, rec.Header())
	}
	contains(t, respond(s, request("POST", "/stacks/shop/rollback", "localhost:7484")), 401, "rhumb dashboard")
}

func TestNothingButTheKeyOpensTheGate(t *testing.T) {
	s := shopWorld().server()
	for _, key := range []string{"", "x", testKey + "x", testKey[1:], strings.ToUpper(testKey)} {
		rec := respond(s, request("GET", "/?key="+url.QueryEscape(key), "localhost:7484"))
		contains(t, rec, http.StatusForbidden, "That key isn't right")
		if len(rec.Result().Cookies()) > 0 {
			t.Errorf("key %q: a cookie was set", key)
		}
	}
	keyless := &gate{now: func() time.Time { return noon }}
	if keyless.opens("") || keyless.valid(keyless.newCookie(false).Value) {
		t.Error("a gate without a key opens")
	}
}

func TestOnlyItsOwnFreshSessionsAreValid(t *testing.T) {
	now := noon
	g := &gate{key: []byte(testKey), now: func() time.Time { return now }}
	other := &gate{key: []byte("another key"), now: g.now}
	session := g.newCookie(false).Value
	if !g.valid(session) {
		t.Fatal("a new session isn't valid")
	}
	parts := strings.Split(session, ".")
	for _, wrong := range []string{
		"", "..", session + ".", session[1:], other.newCookie(false).Value, parts[0] + ".zzzzzzz." + parts[2],
		parts[0] + "." + parts[1] + ".", strings.ToLower(session),
	} {
		if g.valid(wrong) {
			t.Errorf("%q is valid", wrong)
		}
	}
	if g.cookieName() == other.cookieName() {
		t.Error("two servers share the name of their cookies")
	}
	if now = noon.Add(sessionLife + time.Second); g.valid(session) {
		t.Error("a session is valid after its end")
	}
}

func TestOnlyKnownHostsAreAnswered(t *testing.T) {
	w := shopWorld()
	d := w.deps()
	d.Hosts = []string{"rhumb.corp.example"}
	s := newServer(d, time.Now)
	for host, known := range map[string]bool{
		"localhost": true, "localhost:7484": true, "127.0.0.1:7484": true, "[::1]:7484": true, "192.0.2.7": true,
		"shop.localhost:80": true, "LOCALHOST.": true, "rhumb.corp.example:443": true, "Rhumb.Corp.Example": true,
		"evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example:7484": false, "": false,
		"rhumb.corp.example.evil.example": false, "127.0.0.1@evil.example": false,
	} {
		r := request("GET", "/stacks", "x")
		r.Host = host
		if got := respond(s, r).Code != http.StatusMisdirectedRequest; got != known {
			t.Errorf("host %q: answered is %v, want %v", host, got, known)
		}
	}
}

func TestAFormMustComeFromAPageOfTheSameSession(t *testing.T) {
	for name, forge := range map[string]func(*http.Request, url.Values){
		"no origin":       func(r *http.Request, _ url.Values) { r.Header.Del("Origin") },
		"null origin":     func(r *http.Request, _ url.Values) { r.Header.Set("Origin", "null") },
		"another origin":  func(r *http.Request, _ url.Values) { r.Header.Set("Origin", "http://evil.example") },
		"another port":    func(r *http.Request, _ url.Values) { r.Header.Set("Origin", "http://localhost:3000") },
		"no token":        func(_ *http.Request, form url.Values) { form.Del("token") },
		"a wrong token":   func(_ *http.Request, form url.Values) { form.Set("token", "x") },
		"token in a link": func(r *http.Request, form url.Values) { r.URL.RawQuery = form.Encode(); form.Del("token") },
	} {
		w := shopWorld()
		s := w.server()
		c := s.gate.newCookie(false)
		form := url.Values{"token": {s.gate.token(c.Value)}, "cause": {"rollback"}, "release": {"41"}}
		r := request("POST", "/stacks/shop/rollback", "localhost:7484")
		r.Header.Set("Origin", "http://localhost:7484")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(c)
		forge(r, form)
		r.Body = http.NoBody
		if len(form) > 0 {
			r.Body = readCloser{strings.NewReader(form.Encode())}
		}
		rec := respond(s, r)
		contains(t, rec, http.StatusForbidden, "wasn&#39;t sent by a page of this dashboard")
		if len(w.asked) > 0 {
			t.Errorf("%s: %v was changed", name, w.asked)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestATokenOfAnotherSessionIsRefused(t *testing.T) {
	g := &gate{key: []byte(testKey), now: time.Now}
	a, b := g.newCookie(false).Value, g.newCookie(false).Value
	if g.token(a) == g.token(b) {
		t.Error("two sessions have the same token")
	}
}

func TestLargeRequestsAreRefused(t *testing.T) {
	w := shopWorld()
	s := w.server()
	contains(t, get(t, s, "/events?stack="+strings.Repeat("x", maxQuery)), http.StatusRequestURITooLong)
	rec := post(t, s, "/stacks/shop/restart", "cause=restart&x="+strings.Repeat("x", maxForm))
	contains(t, rec, 400, "can&#39;t be read")
	if len(w.asked) > 0 {
		t.Errorf("%v was changed", w.asked)
	}
}

func TestGETChangesNothing(t *testing.T) {
	w := openWorld()
	s := w.server()
	for _, path := range []string{
		"/stacks/shop/rollback?release=41&cause=rollback", "/stacks/shop/restart?cause=restart",
		"/stacks/shop/scale?service=web&replicas=9&cause=scale", "/stacks/shop/deployments/813/cancel?id=813",
	} {
		contains(t, get(t, s, path), 200, "<form method=\"post\"")
	}
	if len(w.asked) > 0 || w.deployed[0].Cancel {
		t.Errorf("something was changed: %v", w.asked)
	}
}

func TestTheThemeIsAFormAndLeadsNowhereElse(t *testing.T) {
	s := shopWorld().server()
	for back, want := range map[string]string{
		"/stacks/shop?a=b": "/stacks/shop?a=b", "//evil.example": "/stacks", "https://evil.example": "/stacks",
		`/\evil.example`: "/stacks", "": "/stacks",
	} {
		rec := post(t, s, "/theme", "theme=dark&back="+url.QueryEscape(back))
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != want {
			t.Errorf("back %q: %d to %q, want %q", back, rec.Code, rec.Header().Get("Location"), want)
		}
		if c := rec.Result().Cookies(); len(c) != 1 || c[0].Value != "dark" {
			t.Errorf("cookies %v", c)
		}
	}
	r := request("GET", "/stacks", "localhost")
	r.AddCookie(s.gate.newCookie(false))
	r.AddCookie(&http.Cookie{Name: "rhumb_theme", Value: "dark"})
	contains(t, respond(s, r), 200, `data-theme="dark"`)
}

func TestPagesOfOtherOriginsCanOnlyLinkHere(t *testing.T) {
	s := shopWorld().server()
	ask := func(site, mode string, in bool) *httptest.ResponseRecorder {
		r := request("GET", "/stacks/shop?x=1", "localhost:7484")
		r.Header.Set("Sec-Fetch-Site", site)
		r.Header.Set("Sec-Fetch-Mode", mode)
		if in {
			r.AddCookie(s.gate.newCookie(false))
		}
		return respond(s, r)
	}
	contains(t, ask("same-site", "cors", true), 403, "another origin")
	contains(t, ask("cross-site", "no-cors", false), 403, "another origin")
	contains(t, ask("same-origin", "cors", true), 200, "<b>Release 42</b>")
	contains(t, ask("none", "navigate", true), 200, "<b>Release 42</b>")
	rec := ask("cross-site", "navigate", false)
	contains(t, rec, 401, "rhumb dashboard")
	if got := rec.Header().Get("Refresh"); got != "0; url=/stacks/shop?x=1" {
		t.Errorf("goes on to %q", got)
	}
	if got := ask("same-origin", "navigate", false).Header().Get("Refresh"); got != "" {
		t.Errorf("goes on to %q again and again", got)
	}
}
