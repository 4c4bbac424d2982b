package compose

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"rhumb"
)

const optionsFile = `
services:
  web:
    image: nginx
    ports: [{target: 80, published: 8080, app_protocol: http}, "5432:5432"]
    x-rhumb:
      sticky: true
      http:
        headers:
          response: {set: {X-Frame-Options: DENY, X-Level: 3}, remove: [Server]}
        compress: true
        auth: {secret: users, realm: "the team"}
      routes:
        - shop.example.com
        - host: www.example.com
          redirect: https://shop.example.com
          auth: off
        - host: "*.example.org"
          canonical: shop.example.com
          compress: false
        - host: shop.example.com
          path: /api
          strip: true
          auth: {file: ./users}
          headers: off
          pages: {"404": pages/404.html, 5xx: ./pages/sorry.json, replace: true}
          maintenance: pages/404.html
          buffer: {request: 1MB, response: 64KB}
          timeouts: {header: 10s, idle: 1m, whole: 5m}
        - host: shop.example.com
          path: /old
          redirect: {to: /new, status: 302, exact: true}
secrets:
  users: {file: ./users}
`

const someUser = "ann:$2a$04$abcdefghijklmnopqrstuuJ7tO1nW8VbSYnBpNqQkX0mVfqrXWvPi\n"

// loadOptions loads the project with options of all kinds.
func loadOptions(t *testing.T) *Project {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "compose.yaml", optionsFile)
	write(t, dir, "users", someUser)
	write(t, dir, "pages/404.html", "<h1>not here</h1>")
	write(t, dir, "pages/sorry.json", `{"error": "sorry"}`)
	p, err := Load(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(told(err))
	}
	return p
}

func TestARouteHasItsOwnOptionsAndThoseOfItsService(t *testing.T) {
	p := loadOptions(t)
	s := p.Stack.Service("web")
	headers := rhumb.HeaderChanges{Remove: []string{"Server"},
		Set: []rhumb.HeaderField{{Name: "X-Frame-Options", Value: "DENY"}, {Name: "X-Level", Value: "3"}}}
	auth := &rhumb.BasicAuth{Realm: "the team", Users: rhumb.RouteFile{Kind: rhumb.FileSecret, Name: "users"}}
	all := &rhumb.RouteOptions{Response: headers, Compress: true, Auth: auth}
	page := rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "pages/404.html"}
	want := []*rhumb.RouteOptions{
		all,
		{Response: headers, Compress: true, Redirect: &rhumb.Redirect{To: "https://shop.example.com", Status: 308}},
		{Response: headers, Auth: auth, Canonical: "shop.example.com"},
		{Compress: true, Strip: true, Maintenance: &page, Replace: true,
			Auth: &rhumb.BasicAuth{Realm: "restricted", Users: rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "users"}},
			Pages: []rhumb.ErrorPage{{Status: 5, File: rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "pages/sorry.json"}},
				{Status: 404, File: page}},
			Buffer:   rhumb.Buffer{Request: 1 << 20, Response: 64 << 10},
			Timeouts: rhumb.Timeouts{Header: 10 * time.Second, Idle: time.Minute, Whole: 5 * time.Minute}},
		{Response: headers, Compress: true, Auth: auth,
			Redirect: &rhumb.Redirect{To: "/new", Status: 302, Exact: true}},
	}
	for i, r := range s.Routes {
		if !reflect.DeepEqual(r.Options, want[i]) {
			t.Errorf("%s has %+v, want %+v", r.Address(), r.Options, want[i])
		}
	}
	if !reflect.DeepEqual(s.HTTP, all) || !s.Sticky {
		t.Errorf("the port has %+v; sticky: %t", s.HTTP, s.Sticky)
	}
	kinds := map[string]rhumb.FileKind{}
	for _, f := range p.Stack.Files {
		kinds[string(f.Kind)+" "+f.Name] = f.Kind
	}
	for _, name := range []string{"route pages/404.html", "route pages/sorry.json", "route users", "secret users"} {
		if kinds[name] == "" {
			t.Errorf("%s doesn't travel with the release: %v", name, kinds)
		}
	}
}

func TestAServiceWithoutOptionsHasNone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", `
services:
  web:
    image: nginx
    x-rhumb: {http: {compress: false, auth: off}, routes: [a.example.com, {host: b.example.com, strip: false}]}
`)
	p, err := Load(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(told(err))
	}
	s := p.Stack.Service("web")
	has := func(r rhumb.Route) bool { return r.Options != nil }
	if s.HTTP != nil || slices.ContainsFunc(s.Routes, has) {
		t.Errorf("%+v", s)
	}
}
