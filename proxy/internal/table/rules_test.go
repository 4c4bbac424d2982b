package table

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestTheMostExactHostAndTheLongestPathWin(t *testing.T) {
	s := Compile([]rhumb.Rule{
		{Host: "shop.example.com", Backend: "shop"},
		{Host: "shop.example.com", Path: "/v1", Backend: "v1"},
		{Host: "shop.example.com", Path: "/v1/admin/", Backend: "admin"},
		{Host: "API.example.com", Path: "/only", Backend: "api"},
		{Host: "*.example.com", Backend: "wild"},
		{Host: "", Path: "/health", Backend: "health"},
	}, nil)
	for _, c := range []struct{ host, path, want string }{
		{"shop.example.com", "/", "shop"},
		{"SHOP.example.COM:8080", "/", "shop"},
		{"shop.example.com.", "/v1", "v1"},
		{"shop.example.com", "/v1/", "v1"},
		{"shop.example.com", "/v1/x", "v1"},
		{"shop.example.com", "/v10", "shop"},
		{"shop.example.com", "/v1/admin", "admin"},
		{"shop.example.com", "/v1/admin/x", "admin"},
		{"shop.example.com", "/v1/administrator", "v1"},
		{"shop.example.com", "/health", "shop"},
		{"api.example.com", "/only/x", "api"},
		{"api.example.com", "/else", "wild"},
		{"x.example.com", "/", "wild"},
		{"x.y.example.com", "/", ""},
		{"example.com", "/", ""},
		{"*.example.com", "/", ""},
		{"[::1]:80", "/health", "health"},
		{"", "/health/x", "health"},
		{"", "/healthy", ""},
		{"other.test", "", ""},
	} {
		if got, _ := s.Match(c.host, c.path); got != c.want {
			t.Errorf("%s%s leads to %q, not %q", c.host, c.path, got, c.want)
		}
	}
}

func FuzzRuleMatching(f *testing.F) {
	f.Add("shop.example.com", "/v1", "shop.example.com:80", "/v1/x")
	f.Add("*.example.com", "/", "a.example.com", "/")
	f.Add("", "/a/", "[::1", "/a")
	f.Fuzz(func(t *testing.T, ruleHost, rulePath, host, path string) {
		r := rhumb.Rule{Host: ruleHost, Path: rulePath, Backend: "b"}
		if validateRule(r, map[string]bool{"b": true}) != nil {
			return
		}
		_, ok := Compile([]rhumb.Rule{r}, nil).Match(host, path)
		prefix := strings.TrimRight(rulePath, "/")
		if ok && !strings.HasPrefix(path, prefix) {
			t.Fatalf("%q fits %q", path, rulePath)
		}
		if ok && len(path) > len(prefix) && prefix != "" && path[len(prefix)] != '/' {
			t.Fatalf("%q fits %q within a segment", path, rulePath)
		}
		if !ok && ruleHost == "" && path == prefix {
			t.Fatalf("%q doesn't fit %q", path, rulePath)
		}
	})
}

func TestAPathCannotEvadeARuleThatAsksForPasswords(t *testing.T) {
	guard := rhumb.TableOptions{ID: "g", RouteOptions: rhumb.RouteOptions{Auth: &rhumb.BasicAuth{Realm: "r"}}}
	plain := rhumb.TableOptions{ID: "p"}
	options := []rhumb.TableOptions{guard, plain}
	s := Compile([]rhumb.Rule{
		{Host: "a.test", Backend: "web"},
		{Host: "a.test", Path: "/admin", Backend: "web", Options: "g"},
		{Host: "a.test", Path: "/shop", Backend: "web", Options: "p"},
	}, options)
	for path, want := range map[string]bool{
		"/": false, "/a": false, "/admin": false, "/admin/": false, "/admin/x/../y": false, "/a/../b": false,
		"//a": false, "/shop/../a": false, "/a;b": false, "/administrator": false, "": false,
		"/x/../admin": true, "//admin": true, "/./admin": true, "/admin;x": true, "/x//..//admin/y": true,
		"/\\admin": true, "/..\\admin": true, "/shop/../admin/a": true, "/%61dmin": true, "/.;/admin": true,
		"/x/..;/admin": true,
	} {
		if got := s.Evades("a.test:80", path); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
	if s.Evades("b.test", "//admin") {
		t.Error("another host has no such rule")
	}
	whole := Compile([]rhumb.Rule{{Host: "a.test", Backend: "web", Options: "g"}}, options)
	if whole.Evades("a.test", "//admin") {
		t.Error("all paths of the host ask for passwords")
	}
}

func TestAHostIsANameOrAnAddressWithOrWithoutAPort(t *testing.T) {
	for host, want := range map[string]bool{"": true, "a": true, "a.test": true, "A.test.:80": true, "a:": true,
		"under_score": true, "a%41": true, "127.0.0.1:80": true,
		"[::1]": true, "[::1]:80": true, "[fe80::1%25eth0]": true, "*.test": true,
		":80": false, "a:b": false, "a:80:80": false, "a:-1": false, "a:+1": false, "::1": false,
		"[": false, "[]": false, "[a]": false, "[127.0.0.1]": false, "[::1": false,
		"[::1]a": false, "[::1]80": false, "[::1]:a": false, "a]": false,
		"a b": false, "a/b": false, "a@b": false, "a?b": false, "\u00e4": false, "a\\b": false, "a\x00": false} {
		if got := ValidHost(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

func TestAPathWithOneReadingIsTakenAsItIs(t *testing.T) {
	seed := time.Now().UnixNano()
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	parts := []string{"/", "a", ".", "..", "%", "2f", "\\", ";", " ", "\x00", "admin", "-", "\u00e4"}
	one := 0
	for range 100_000 {
		path := "/"
		for range r.IntN(6) {
			path += parts[r.IntN(len(parts))]
		}
		if !onlyReading(path) {
			continue
		}
		one++
		if clean := Plain(path); strings.TrimSuffix(clean, "/") != strings.TrimSuffix(path, "/") {
			t.Fatalf("seed %d: %q has the reading %q", seed, path, clean)
		}
	}
	if one < 1000 {
		t.Errorf("seed %d: only %d paths have one reading", seed, one)
	}
}

func FuzzAPlainPathIsPlain(f *testing.F) {
	for _, p := range []string{"", "/", "//a/./b/../c;x=1/", "a", "/..;/..", "/a;b", "/a\\..\\b", "/%2561 "} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		got := Plain(p)
		if got[0] != '/' || strings.Contains(got, "//") || strings.Contains(got+"/", "/../") {
			t.Errorf("%q becomes %q", p, got)
		}
		if onlyReading(got) && Plain(got) != got {
			t.Errorf("%q becomes %q, and then %q", p, got, Plain(got))
		}
	})
}
