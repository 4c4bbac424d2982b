package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"rhumb"
	"rhumb/proxy"
)

// optionsOverHTTP2 starts a proxy with routes that have options, and returns a client of HTTP/2.
func optionsOverHTTP2(t *testing.T) *http.Client {
	t.Helper()
	plain, tlsAddr := freeAddr(t), freeAddr(t)
	p := start(t, proxy.Options{Certificates: newPocket(t, []string{"a.test"}), RouteFiles: routeFiles(t),
		State: t.TempDir()})
	replica := web(t, "r", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Server", "x")
		fmt.Fprintf(w, "%s %q %q ", r.URL.Path, r.Header["X-Forwarded-User"], r.Header["Cookie"])
		fmt.Fprint(w, strings.Repeat("words ", 1000))
	})
	table := secure(1, plain, tlsAddr, slotted(replica, 1, 1), "a.test")
	table.Backends[0].Sticky = true
	for path, o := range map[string]*rhumb.RouteOptions{
		"/old":  {Redirect: &rhumb.Redirect{To: "/new", Status: 308}},
		"/lazy": {Strip: true, Timeouts: rhumb.Timeouts{Header: 50 * time.Millisecond}},
		"/admin": {Strip: true, Compress: true, Auth: &rhumb.BasicAuth{Realm: "team", Users: usersFile},
			Request:  rhumb.HeaderChanges{Remove: []string{"Cookie"}},
			Response: rhumb.HeaderChanges{Remove: []string{"Server"}}, Buffer: rhumb.Buffer{Response: 64 << 10}},
	} {
		set := rhumb.OptionsOf(o)
		table.Options = append(table.Options, set)
		table.Rules = append(table.Rules, rhumb.Rule{Host: "a.test", Path: path, Backend: "b", Options: set.ID})
	}
	apply(t, p, table)
	return over(tlsAddr, true, "a.test")
}

func TestOptionsHoldOverHTTP2(t *testing.T) {
	c := optionsOverHTTP2(t)
	for uri, want := range map[string]int{"/old/x": 308, "/admin": 401, "//admin": 400, "/lazy/slow": 504, "/": 200} {
		if r, body := fetch(t, c, "https://a.test"+uri); r.StatusCode != want || r.ProtoMajor != 2 {
			t.Errorf("%s: %s %d %.80s", uri, r.Proto, r.StatusCode, body)
		}
	}
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.test/admin/x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header = http.Header{"Authorization": {"Basic YW5uOmFwcGxl"}, "Cookie": {"a=1", "b=2"},
		"Accept-Encoding": {"gzip"}}
	r, err := c.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.Header.Get("Server") != "" || r.Header.Get("Content-Encoding") != "gzip" || len(r.Cookies()) != 1 ||
		!r.Cookies()[0].Secure {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	packed, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var path, user, cookies string
	_, err = fmt.Fscan(packed, &path, &user, &cookies)
	if err != nil || path != "/x" || user != `["ann"]` || cookies != "[]" {
		t.Errorf("the replica gets %s %s %s (%v)", path, user, cookies, err)
	}
}
