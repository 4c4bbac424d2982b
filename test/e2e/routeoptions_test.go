package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const optionsStack = `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${RELEASE:-1}"}
    deploy: {replicas: 3}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    x-rhumb:
      sticky: true
      ready: {http: /health, port: 8000}
      http:
        compress: true
        headers:
          request: {set: {X-Tenant: acme}, remove: [Cookie2]}
          response: {set: {X-Frame-Options: DENY}, remove: [X-Release]}
      routes:
        - {host: shop.test, port: 8000, pages: {"404": ./404.html, replace: true}}
        - {host: www.test, port: 8000, canonical: shop.test}
        - {host: old.test, port: 8000, redirect: {to: "https://shop.test/new", status: 301}}
        - {host: shop.test, path: /admin, port: 8000, auth: {secret: admins}, strip: true}
        - {host: shop.test, path: /slow, port: 8000, timeouts: {header: 300ms}}
        - {host: shop.test, path: /closed, port: 8000, maintenance: ./closed.html}
        - {host: shop.test, path: /set, port: 8000, buffer: {request: 1MB, response: 64KB}}
secrets:
  admins: {file: ./admins}
`

// newOptionsStack makes the stack of all options, with its pages and users. The password of ann is "apple".
func newOptionsStack(t *testing.T, s *server) *stack {
	t.Helper()
	k := newStack(t, s, optionsStack)
	hash, err := bcrypt.GenerateFromPassword([]byte("apple"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	k.write("admins", "ann:"+string(hash)+"\n")
	k.write("404.html", "<h1>not here</h1>")
	k.write("closed.html", "<h1>closed</h1>")
	return k
}

// asked sends a request to the entry for a host, and returns the answer with its body.
func (k *stack) asked(host, path string, header ...string) (*http.Response, string) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, k.entryURL(path), http.NoBody)
	if err != nil {
		k.t.Fatal(err)
	}
	r.Host = host
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Error(err)
	}
	return resp, string(b)
}

const ann = "Authorization: Basic YW5uOmFwcGxl"

func TestRoutesDoWhatTheirOptionsSay(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newOptionsStack(t, s)
	k.must(0, "deploy")
	k.optionsHold()
	if out := k.must(0, "routes"); !strings.Contains(out, "asks for a password") || strings.Contains(out, "$2a$") {
		t.Errorf("rhumb routes:\n%s", out)
	}
	before := strings.Join(k.containers(), " ")
	k.write("compose.yaml", strings.ReplaceAll(optionsStack, "X-Tenant: acme", "X-Tenant: other"))
	k.must(0, "deploy")
	if _, body := k.asked("shop.test", "/"); !strings.Contains(body, `"other"`) {
		t.Errorf("after a change of options: %s", body)
	}
	if after := strings.Join(k.containers(), " "); after != before {
		t.Errorf("replicas were replaced: %s became %s", before, after)
	}
	k.must(0, "rollback")
	k.optionsHold()
	s.kill()
	s.start()
	s.await()
	k.optionsHold()
}

// optionsHold checks that each route does what its options say.
func (k *stack) optionsHold() {
	t := k.t
	t.Helper()
	r, body := k.asked("shop.test", "/", "X-Tenant: evil")
	if r.StatusCode != 200 || !strings.Contains(body, `"X-Tenant":["acme"]`) ||
		r.Header.Get("X-Frame-Options") != "DENY" || r.Header.Get("X-Release") != "" {
		t.Errorf("headers: %d %v %s", r.StatusCode, r.Header, body)
	}
	if status, body := get(t, k.url("/")); status != 200 || !strings.Contains(body, `"X-Tenant":["acme"]`) {
		t.Errorf("the published port: %d %s", status, body)
	}
	for host, want := range map[string]string{"www.test": "//shop.test/a?b", "old.test": "https://shop.test/new/a?b"} {
		if r, _ := k.asked(host, "/a?b"); r.Header.Get("Location") != want {
			t.Errorf("%s redirects to %q with %d, want %q", host, r.Header.Get("Location"), r.StatusCode, want)
		}
	}
	if r, _ := k.asked("shop.test", "/admin/x"); r.StatusCode != 401 {
		t.Errorf("without a password: %d", r.StatusCode)
	}
	if r, _ := k.asked("shop.test", "//admin/x"); r.StatusCode != 400 {
		t.Errorf("past the password: %d", r.StatusCode)
	}
	r, body = k.asked("shop.test", "/admin/x", ann)
	if r.StatusCode != 200 || !strings.Contains(body, `"X-Forwarded-User":["ann"]`) ||
		!strings.Contains(body, `"X-Forwarded-Prefix":["/admin"]`) || strings.Contains(body, "Authorization") {
		t.Errorf("with a password: %d %s", r.StatusCode, body)
	}
	for path, want := range map[string]string{"/file?path=/nowhere": "404 <h1>not here</h1>",
		"/closed": "503 <h1>closed</h1>"} {
		if r, body := k.asked("shop.test", path); fmt.Sprint(r.StatusCode, " ", body) != want {
			t.Errorf("%s: %d %s", path, r.StatusCode, body)
		}
	}
	if r, _ := k.asked("shop.test", "/slow?d=5s"); r.StatusCode != 504 {
		t.Errorf("a slow answer: %d", r.StatusCode)
	}
	r, body = k.asked("shop.test", "/file?path=/proc/meminfo", "Accept-Encoding: gzip")
	packed, err := gzip.NewReader(strings.NewReader(body))
	if err != nil || r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Vary") == "" {
		t.Errorf("compressed: %v %v", r.Header, err)
	} else if plain, err := io.ReadAll(packed); err != nil || !strings.Contains(string(plain), "MemTotal") {
		t.Errorf("compressed: %q, %v", plain, err)
	}
	k.stays()
}

// stays checks that a client with a cookie gets one replica, and other clients get others.
func (k *stack) stays() {
	t := k.t
	t.Helper()
	hostOf := func(header ...string) (*http.Response, string) {
		t.Helper()
		r, body := k.asked("shop.test", "/", header...)
		var a struct{ Host string }
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		return r, a.Host
	}
	r, first := hostOf()
	if len(r.Cookies()) != 1 {
		t.Errorf("no cookie: %v", r.Header)
		return
	}
	cookie := "Cookie: " + r.Cookies()[0].Name + "=" + r.Cookies()[0].Value
	others := map[string]bool{}
	for range 12 {
		if _, host := hostOf(cookie); host != first {
			t.Errorf("moved from %s to %s", first, host)
		}
		_, host := hostOf()
		others[host] = true
	}
	if len(others) < 2 {
		t.Errorf("clients without a cookie all get %s", first)
	}
}
