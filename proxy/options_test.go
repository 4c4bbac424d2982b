package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/bcrypt"

	"rhumb"
	"rhumb/proxy"
)

// onBothPaths runs a test with our own HTTP/1 and with the standard library's.
func onBothPaths(t *testing.T, test func(t *testing.T, o proxy.Options)) {
	for name, standard := range map[string]bool{"own": false, "standard": true} {
		t.Run(name, func(t *testing.T) {
			test(t, proxy.Options{StandardHTTP: standard, RouteFiles: routeFiles(t)})
		})
	}
}

// routeFiles are the files of the tests' routes, by hash: users, and pages.
func routeFiles(t testing.TB) func(string) ([]byte, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte("apple"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"0a": "ann:" + string(hash), "0b": "<h1>sorry</h1>"}
	return func(name string) ([]byte, error) {
		if b, ok := files[name]; ok {
			return []byte(b), nil
		}
		return nil, rhumb.Errorf(rhumb.NotFound, "there is no file %s", name)
	}
}

var (
	usersFile = rhumb.RouteFile{Kind: rhumb.FileSecret, Name: "users", Hash: "0a"}
	sorryPage = rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "sorry.html", Hash: "0b"}
)

// routed returns a table in which the route of any host, at a path, has options.
func routed(version uint64, addr netip.AddrPort, path string, o *rhumb.RouteOptions, es ...rhumb.Endpoint) rhumb.Table {
	set := rhumb.OptionsOf(o)
	t := one(version, addr, rhumb.HTTP, 0, es...)
	t.Listeners[0].Backend = ""
	t.Rules = []rhumb.Rule{{Path: path, Backend: "shop/web:80", Options: set.ID}}
	t.Options = []rhumb.TableOptions{set}
	return t
}

// optioned starts a proxy with such a table, and returns its address.
func optioned(t *testing.T, o proxy.Options, path string, ro *rhumb.RouteOptions, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	p := start(t, o)
	addr := freeAddr(t)
	apply(t, p, routed(1, addr, path, ro, web(t, "a", h)))
	return addr
}

// answerOf sends a request as it is, and returns the answer with its whole body.
func answerOf(t *testing.T, addr netip.AddrPort, method, uri string, header ...string) (*http.Response, string) {
	t.Helper()
	return answerWith(t, addr, method, uri, "", header...)
}

func answerWith(t *testing.T, addr netip.AddrPort, method, uri, body string, header ...string) (
	*http.Response, string,
) {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	head := method + " " + uri + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n"
	if body != "" {
		head += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	for _, h := range header {
		head += h + "\r\n"
	}
	fmt.Fprint(c, head+"\r\n"+body)
	return readAnswer(t, c, method)
}

// readAnswer reads an answer with its whole body.
func readAnswer(t *testing.T, c io.Reader, method string) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return r, "broken off: " + string(b)
	}
	return r, string(b)
}

func TestARouteRedirectsWithoutAReplica(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		p := start(t, o)
		addr := freeAddr(t)
		to := &rhumb.RouteOptions{Redirect: &rhumb.Redirect{To: "https://b.test/new", Status: 301}}
		apply(t, p, routed(1, addr, "/old", to)) // no replica
		for uri, want := range map[string]string{"/old": "https://b.test/new",
			"/old/x%2Fy?q=1": "https://b.test/new/x%2Fy?q=1", "http://evil.test/old//evil.test": "https://b.test/new/evil.test", "/%6Fld/": "https://b.test/new/"} {
			r, _ := answerOf(t, addr, "GET", uri)
			if r.StatusCode != 301 || r.Header.Get("Location") != want {
				t.Errorf("%s: %d %q, want %q", uri, r.StatusCode, r.Header.Get("Location"), want)
			}
		}
		if r, _ := answerOf(t, addr, "GET", "/other"); r.StatusCode != 404 {
			t.Errorf("another path: %d", r.StatusCode)
		}
		apply(t, p, routed(2, addr, "", &rhumb.RouteOptions{Canonical: "b.test"}))
		if r, _ := answerOf(t, addr, "GET", "//evil.test/x?y"); r.Header.Get("Location") != "//b.test/evil.test/x?y" {
			t.Errorf("to the canonical host: %q", r.Header.Get("Location"))
		}
	})
}

func TestARouteAsksForAPassword(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		auth := &rhumb.RouteOptions{Auth: &rhumb.BasicAuth{Realm: "team", Users: usersFile}}
		addr := optioned(t, o, "/admin", auth, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%q %q", r.Header["X-Forwarded-User"], r.Header["Authorization"])
		})
		good := "Authorization: Basic YW5uOmFwcGxl" // ann:apple
		r, body := answerOf(t, addr, "GET", "/admin")
		if r.StatusCode != 401 || r.Header.Get("Www-Authenticate") != `Basic realm="team", charset="UTF-8"` {
			t.Errorf("%d %v %s", r.StatusCode, r.Header, body)
		}
		if r, _ := answerOf(t, addr, "GET", "/admin", "Authorization: Basic YW5uOnBlYXI="); r.StatusCode != 401 {
			t.Errorf("a wrong password: %d", r.StatusCode)
		}
		r, body = answerOf(t, addr, "GET", "/admin", good, "X-Forwarded-User: root", "X_Forwarded_User: root")
		if r.StatusCode != 200 || body != `["ann"] []` {
			t.Errorf("%d %s", r.StatusCode, body)
		}
	})
}

func TestNoPathEvadesARoutesPassword(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		p := start(t, o)
		addr := freeAddr(t)
		auth := &rhumb.RouteOptions{Auth: &rhumb.BasicAuth{Realm: "team", Users: usersFile}}
		table := routed(1, addr, "/admin", auth, web(t, "a", nil))
		table.Rules = append([]rhumb.Rule{{Backend: "shop/web:80"}}, table.Rules...)
		apply(t, p, table)
		for uri, want := range map[string]int{"/": 200, "/a//b/../c": 200, "/admin": 401, "/%61dmin/x": 401,
			"//admin": 400, "/x/../admin": 400, "/x/%2e%2e/admin": 400, "/x%2f..%2fadmin": 400, "/%2fadmin": 400,
			"/admin;x=y": 400, "/%5cadmin": 400, "/%2561dmin": 400} {
			if r, body := answerOf(t, addr, "GET", uri); r.StatusCode != want {
				t.Errorf("%s: %d %s", uri, r.StatusCode, body)
			}
		}
	})
}

func TestARouteChangesHeaders(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		ro := &rhumb.RouteOptions{
			Request: rhumb.HeaderChanges{Remove: []string{"Cookie"}, Set: []rhumb.HeaderField{{Name: "X-Tenant", Value: "a"}},
				Add: []rhumb.HeaderField{{Name: "X-More", Value: "2"}}},
			Response: rhumb.HeaderChanges{Remove: []string{"Server"},
				Set: []rhumb.HeaderField{{Name: "X-Frame-Options", Value: "DENY"}},
				Add: []rhumb.HeaderField{{Name: "Set-Cookie", Value: "b=2"}}},
		}
		addr := optioned(t, o, "", ro, func(w http.ResponseWriter, r *http.Request) {
			for _, name := range []string{"Server", "X-Frame-Options", "Set-Cookie"} {
				w.Header().Set(name, "a=1")
			}
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%q %q %q %q %q %q", r.Header["Cookie"], r.Header["X-Tenant"], r.Header["X_tenant"],
				r.Header["X-More"], r.Header["X-Kept"], r.Trailer["X-Tenant"])
		})
		r, body := answerOf(t, addr, "GET", "/", "Cookie: a", "x-tenant: b", "X_Tenant: c", "X-More: 1", "X-Kept: k")
		if body != `[] ["a"] [] ["1" "2"] ["k"] []` {
			t.Errorf("the replica gets %s", body)
		}
		if r.Header.Get("Server") != "" || strings.Join(r.Header["X-Frame-Options"], "|") != "DENY" ||
			strings.Join(r.Header["Set-Cookie"], "|") != "a=1|b=2" {
			t.Errorf("the client gets %v", r.Header)
		}
		_, body = answerOf(t, addr, "POST", "/", "Transfer-Encoding: chunked", "Trailer: X-Tenant", "",
			"0\r\nX-Tenant: b\r\n")
		if !strings.HasSuffix(body, `["a"] [] ["2"] [] []`) {
			t.Errorf("with a trailer the replica gets %s", body)
		}
	})
}

func TestARouteStripsItsPath(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		addr := optioned(t, o, "/app", &rhumb.RouteOptions{Strip: true}, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", r.RequestURI, r.Header["X-Forwarded-Prefix"])
		})
		for uri, want := range map[string]string{"/app": "/", "/app/": "/", "/app/x?y=/app": "/x?y=/app", "/app?a": "/?a",
			"/app//evil.test/x": "/evil.test/x", "/app%2fx": "/%2fx", "/%61pp/a%2Fb": "/a%2Fb", "/app/%2e%2e/x": "/%2e%2e/x",
			"http://a.test/app/x": "/x"} {
			r, body := answerOf(t, addr, "GET", uri, "X-Forwarded-Prefix: /evil")
			if r.StatusCode != 200 || body != want+" [/app]" {
				t.Errorf("%s: %d %s, want %s", uri, r.StatusCode, body, want)
			}
		}
	})
}

func TestARouteHasPagesOfItsOwn(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		ro := &rhumb.RouteOptions{Pages: []rhumb.ErrorPage{{Status: 5, File: sorryPage}}}
		p := start(t, o)
		addr := freeAddr(t)
		apply(t, p, routed(1, addr, "", ro))
		r, body := answerOf(t, addr, "GET", "/", "Accept: application/json")
		if r.StatusCode != 503 || body != "<h1>sorry</h1>" || r.Header.Get("Retry-After") == "" {
			t.Errorf("without a replica: %d %s", r.StatusCode, body)
		}
		fails := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"a"`)
			w.Header().Set("X-Trace", "t")
			w.WriteHeader(500)
			fmt.Fprint(w, strings.Repeat("details ", 5000))
		})
		apply(t, p, routed(2, addr, "", ro, fails))
		if _, body := answerOf(t, addr, "GET", "/"); !strings.HasPrefix(body, "details") {
			t.Errorf("the replica's own: %.40s", body)
		}
		ro.Replace = true
		apply(t, p, routed(3, addr, "", ro, fails))
		for _, method := range []string{"GET", "HEAD"} {
			r, body = answerOf(t, addr, method, "/")
			if r.StatusCode != 500 || method == "GET" && body != "<h1>sorry</h1>" || r.Header.Get("ETag") != "" ||
				r.Header.Get("X-Trace") != "t" || r.ContentLength != 14 ||
				!strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
				t.Errorf("%s, replaced: %d %v %s", method, r.StatusCode, r.Header, body)
			}
		}
		apply(t, p, routed(4, addr, "", &rhumb.RouteOptions{Maintenance: &sorryPage}, fails))
		if r, body := answerOf(t, addr, "GET", "/"); r.StatusCode != 503 || body != "<h1>sorry</h1>" {
			t.Errorf("under maintenance: %d %s", r.StatusCode, body)
		}
	})
}

func TestARouteCompressesAnswers(t *testing.T) {
	text := strings.Repeat("the same words again and again\n", 4000)
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		addr := optioned(t, o, "", &rhumb.RouteOptions{Compress: true}, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/plain")
			h.Set("ETag", `"a"`)
			switch r.URL.Path {
			case "/whole":
				h.Set("Content-Length", strconv.Itoa(len(text)))
			case "/br":
				h.Set("Content-Encoding", "br")
			case "/events":
				h.Set("Content-Type", "text/event-stream")
			}
			_, _ = io.WriteString(w, text)
		})
		for _, c := range []struct{ uri, accepts, coding string }{
			{"/whole", "gzip", "gzip"}, {"/chunked", "gzip", "gzip"}, {"/whole", "zstd, gzip", "zstd"},
			{"/chunked", "zstd", "zstd"}, {"/whole", "identity", ""}, {"/br", "gzip, br", "br"}, {"/events", "gzip", ""},
		} {
			r, body := answerOf(t, addr, "GET", c.uri, "Accept-Encoding: "+c.accepts)
			if got := r.Header.Get("Content-Encoding"); got != c.coding {
				t.Errorf("%+v: %q", c, got)
				continue
			}
			packed := c.coding == "gzip" || c.coding == "zstd"
			if packed && (len(body) > len(text)/10 || r.Header.Get("ETag") != `W/"a"` || r.ContentLength >= 0) {
				t.Errorf("%+v: %d bytes, %v", c, len(body), r.Header)
			}
			if plain(t, c.coding, body) != text {
				t.Errorf("%+v: the text is another", c)
			}
			if vary := r.Header.Get("Vary") != ""; vary != (c.uri == "/whole" || c.uri == "/chunked") {
				t.Errorf("%+v: Vary %q", c, r.Header.Get("Vary"))
			}
		}
		r, body := answerOf(t, addr, "GET", "/whole", "Accept-Encoding: gzip", "Range: bytes=0-9")
		if r.Header.Get("Content-Encoding") != "" || body != text {
			t.Errorf("with a range: %v", r.Header)
		}
	})
}

// plain returns a body without its coding.
func plain(t *testing.T, coding, body string) string {
	t.Helper()
	var r io.Reader
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(strings.NewReader(body))
	case "zstd":
		r, err = zstd.NewReader(strings.NewReader(body))
	default:
		return body
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(bytes.TrimRight(b, "\x00"))
}
