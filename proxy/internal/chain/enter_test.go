package chain

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// room returns a room with these files, by hash.
func room(files map[string]string) *Room {
	return NewRoom(func(hash string) ([]byte, error) {
		b, ok := files[hash]
		if !ok {
			return nil, rhumb.Errorf(rhumb.NotFound, "there is no file %s", hash)
		}
		return []byte(b), nil
	}, nil, slog.New(slog.DiscardHandler))
}

// chained returns the chain of options.
func chained(t testing.TB, o rhumb.RouteOptions, files map[string]string) *Chain {
	t.Helper()
	set := rhumb.OptionsOf(&o)
	return room(files).Compile(rhumb.Table{Options: []rhumb.TableOptions{set}}, nil).Of(set.ID)
}

// answered returns the answer that a client gets instead of a replica's; nil: the request is forwarded.
func answered(c *Chain, r Request) *http.Response {
	_, a := c.Enter(&r)
	if a == nil {
		return nil
	}
	w := httptest.NewRecorder()
	a.Write(w, httptest.NewRequest("GET", "/", nil))
	return w.Result()
}

func TestARedirectKeepsWhatFollowsTheRoutesPath(t *testing.T) {
	for _, c := range []struct {
		to    string
		exact bool
		r     Request
		want  string
	}{
		{"https://b.test", false, Request{Path: "/"}, "https://b.test/"},
		{"https://b.test", false, Request{Path: "/x/y", Query: "?q=1"}, "https://b.test/x/y?q=1"},
		{"https://b.test/", false, Request{Path: "/x/"}, "https://b.test/x/"},
		{"https://b.test", false, Request{Path: ""}, "https://b.test/"},
		{"//b.test/new", false, Request{Path: "/old/x", Prefix: "/old"}, "//b.test/new/x"},
		{"/new", false, Request{Path: "/old", Prefix: "/old", Query: "?"}, "/new?"},
		{"/new", false, Request{Path: "/old/", Prefix: "/old"}, "/new/"},
		{"/new", false, Request{Path: "/%6fld/a%2Fb", Prefix: "/old"}, "/new/a%2Fb"},
		{"/", false, Request{Path: "/old/x", Prefix: "/old"}, "/x"},
		{"https://b.test/one?a=b", true, Request{Path: "/x/y", Query: "?q=1"}, "https://b.test/one?a=b"},
		{"https://b.test", true, Request{Path: "/x"}, "https://b.test/"},
		{"/one", true, Request{Path: "/x", Query: "?q"}, "/one"},
	} {
		chain := chained(t, rhumb.RouteOptions{Redirect: &rhumb.Redirect{To: c.to, Status: 307, Exact: c.exact}}, nil)
		a := answered(chain, c.r)
		if a == nil || a.StatusCode != 307 || a.Header.Get("Location") != c.want || a.ContentLength != 0 {
			t.Errorf("%+v to %s: %+v, want %s", c.r, c.to, a, c.want)
		}
	}
}

// A browser takes "//evil.test" and "/\evil.test" for another host.
func TestARequestCannotChooseTheHostOfARedirect(t *testing.T) {
	toPath := chained(t, rhumb.RouteOptions{Redirect: &rhumb.Redirect{To: "/", Status: 301}}, nil)
	canonical := chained(t, rhumb.RouteOptions{Canonical: "a.test"}, nil)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	paths := []string{"//evil.test", "///evil.test/", `/\evil.test`, `/\/evil.test`, "/%2f/evil.test", "/%5cevil.test",
		"/a//evil.test", "/\tevil", "/.//evil.test", "/%0d%0aSet-Cookie:a", "//evil.test:80@a.test", "https://evil.test"}
	pieces := []string{"/", "\\", "evil.test", "a", "%2f", "%5C", ".", "..", "@", ":", "?", "\r\n", "\x00", "\u00e4"}
	for range 2000 {
		p := "/"
		for range random.IntN(8) {
			p += pieces[random.IntN(len(pieces))]
		}
		paths = append(paths, p)
	}
	base, err := url.Parse("https://a.test/here")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		for prefix, c := range map[string]*Chain{"": toPath, "/a": toPath, "b": canonical} {
			a := answered(c, Request{Host: "b.test", Path: p, Prefix: strings.TrimPrefix(prefix, "b")})
			to := a.Header.Get("Location")
			if strings.ContainsAny(to, "\r\n\\\x00 ") || len(a.Header["Location"]) != 1 || a.Header.Get("Set-Cookie") != "" {
				t.Fatalf("seed %d: %q is redirected to %q", seed, p, to)
			}
			at, err := base.Parse(to)
			if err != nil || at.Host != "a.test" || at.User != nil {
				t.Fatalf("seed %d: %q is redirected to %q: %v, %v", seed, p, to, at, err)
			}
		}
	}
}

func TestOtherHostsAreRedirectedToTheCanonicalOne(t *testing.T) {
	c := chained(t, rhumb.RouteOptions{Canonical: "a.test"}, nil)
	for host, want := range map[string]string{
		"a.test": "", "A.test.": "", "a.test:8080": "",
		"www.a.test": "//a.test/x?y", "b.test:8080": "//a.test:8080/x?y", "": "//a.test/x?y", "[::1]:80": "//a.test:80/x?y",
		"[::1]": "//a.test/x?y", "*.a.test": "//a.test/x?y",
	} {
		a := answered(c, Request{Host: host, Path: "/x", Query: "?y"})
		got := ""
		if a != nil {
			got = a.Header.Get("Location")
		}
		if got != want || a != nil && (a.StatusCode != 308 || a.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

func TestStrippingLeavesAPathThatNamesNoHost(t *testing.T) {
	for _, c := range []struct{ path, prefix, want string }{
		{"/app", "/app", "/"}, {"/app/", "/app", "/"}, {"/app/x", "/app", "/x"}, {"/app//x", "/app", "/x"},
		{"/app///evil.test/x", "/app", "/evil.test/x"}, {"/%61pp/x%2Fy", "/app", "/x%2Fy"},
		{"/app%2fx", "/app", "/%2fx"}, {"/app%2F%2Fx", "/app", "/%2F%2Fx"}, {"/x", "", "/x"}, {"", "", "/"},
		{"/app/../x", "/app", "/../x"}, {"/\u00e4/x", "/\u00e4", "/x"}, {"/%C3%A4/x", "/\u00e4", "/x"}, {"/a", "/abc", "/"},
	} {
		if got := Strip(c.path, c.prefix); got != c.want {
			t.Errorf("%q without %q: %q, want %q", c.path, c.prefix, got, c.want)
		}
	}
}

// What is left is, once it is decoded, what follows the prefix in the decoded path.
func FuzzStrippedPaths(f *testing.F) {
	f.Add("/app/x", "/app")
	f.Add("/%61pp%2fx", "/app")
	f.Add("//", "/")
	f.Fuzz(func(t *testing.T, path, prefix string) {
		decoded, err := url.PathUnescape(path)
		if err != nil || !strings.HasPrefix(decoded, prefix) || prefix != "" && !strings.HasPrefix(path, "/") {
			return
		}
		got := Strip(path, prefix)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") {
			t.Fatalf("%q without %q: %q", path, prefix, got)
		}
		left, err := url.PathUnescape(got)
		if err != nil || strings.TrimLeft(left, "/") != strings.TrimLeft(decoded[len(prefix):], "/") {
			t.Fatalf("%q without %q: %q", path, prefix, got)
		}
	})
}

func TestOptionsThatCannotBeAppliedServeNothing(t *testing.T) {
	users := rhumb.RouteFile{Kind: rhumb.FileSecret, Name: "users", Hash: "0a"}
	o := rhumb.RouteOptions{Auth: &rhumb.BasicAuth{Realm: "r", Users: users}}
	for what, c := range map[string]*Chain{
		"users that are missing":        chained(t, o, nil),
		"users that can't be read":      chained(t, o, map[string]string{"0a": "ann:secret"}),
		"options that the table lacks":  Set(nil).Of("0b"),
		"a redirect that goes anywhere": chained(t, rhumb.RouteOptions{Redirect: &rhumb.Redirect{To: "x"}}, nil),
	} {
		if a := answered(c, Request{Path: "/"}); a == nil || a.StatusCode != 503 {
			t.Errorf("%s: %+v", what, a)
		}
	}
	if c := Set(nil).Of(""); c != nil {
		t.Error("a route without options has some")
	}
}

func TestAChainIsKeptWhileItsOptionsStay(t *testing.T) {
	r := room(map[string]string{})
	files := map[string]string{}
	r.Files = func(hash string) ([]byte, error) {
		if b, ok := files[hash]; ok {
			return []byte(b), nil
		}
		return nil, rhumb.Errorf(rhumb.NotFound, "not yet")
	}
	auth := &rhumb.BasicAuth{Realm: "r", Users: rhumb.RouteFile{Hash: "0a"}}
	plain := rhumb.OptionsOf(&rhumb.RouteOptions{Compress: true})
	guarded := rhumb.OptionsOf(&rhumb.RouteOptions{Auth: auth})
	table := rhumb.Table{Options: []rhumb.TableOptions{plain, guarded}}
	first := r.Compile(table, nil)
	files["0a"] = line(t, "ann", "apple")
	second := r.Compile(table, first)
	if first.Of(plain.ID) != second.Of(plain.ID) {
		t.Error("what is remembered is lost with each table")
	}
	if c := second.Of(guarded.ID); c.broken || c.gate == nil {
		t.Error("users that have come are not read")
	}
}

func TestPagesOfARouteStandInForTheProxysOwn(t *testing.T) {
	page := func(name, hash string) rhumb.RouteFile {
		return rhumb.RouteFile{Kind: rhumb.FileRoute, Name: name, Hash: hash}
	}
	closed := page("gone.txt", "0c")
	files := map[string]string{"0a": "not here", "0b": `{"e":1}`, "0c": "closed"}
	o := rhumb.RouteOptions{Replace: true, Pages: []rhumb.ErrorPage{{Status: 5, File: page("5xx.json", "0b")},
		{Status: 404, File: page("404.html", "0a")}, {Status: 403, File: page("403.html", "0d")}}}
	c := chained(t, o, files)
	for status, want := range map[int]string{200: "", 404: "not here", 403: "", 400: "", 500: `{"e":1}`, 503: `{"e":1}`} {
		kind, body := c.Replacement(status)
		if string(body) != want || status == 500 && kind != "application/json" {
			t.Errorf("%d: %s %q", status, kind, body)
		}
	}
	o = rhumb.RouteOptions{Maintenance: &closed}
	a := answered(chained(t, o, files), Request{Path: "/"})
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" ||
		a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%+v", a)
	}
	if a := answered(chained(t, o, nil), Request{Path: "/"}); a.StatusCode != 503 {
		t.Errorf("without its page the route is served: %+v", a)
	}
}
