package routeoption

import (
	"strings"
	"testing"

	"rhumb"
)

func TestARedirectGoesToAURLOrAPath(t *testing.T) {
	for to, want := range map[string]Destination{
		"https://shop.example.com":        {Origin: "https://shop.example.com", Host: "shop.example.com"},
		"http://Shop.example.com:8080/":   {Origin: "http://shop.example.com:8080", Host: "shop.example.com", Path: "/"},
		"//shop.example.com/a/b":          {Origin: "//shop.example.com", Host: "shop.example.com", Path: "/a/b"},
		"/new":                            {Path: "/new"},
		"/":                               {Path: "/"},
		"/a%20b/":                         {Path: "/a%20b/"},
		"https://localhost/x?id=5&b=a%20": {"https://localhost", "localhost", "/x", "?id=5&b=a%20"},
	} {
		if got, err := Split(to, true); got != want || err != nil {
			t.Errorf("%q: %+v, %v", to, got, err)
		}
	}
	for _, to := range []string{"", "shop.example.com", "ftp://a", "javascript:alert(1)", "https:/a", "https://", "///a",
		"https://a b", "https://a@b", "https://user:pw@b", "https://[::1]/", "https://a:b", "https://a:123456",
		"https://a/\\b",
		"/a\r\nSet-Cookie: b", "/a b", "/a#b", "/a//b", "/\\evil.test", "/%zz", "/\u00e4", "/a?b c", "/a?\n", "https://a\n",
		"//", "//a/../\x00", "/" + strings.Repeat("a", 3000)} {
		if got, err := Split(to, true); err == nil {
			t.Errorf("%q is taken for %+v", to, got)
		}
	}
	if _, err := Split("/a?b", false); err == nil {
		t.Error("a query is kept although the request has one of its own")
	}
}

func TestFieldsBetweenNeighboursCannotBeChanged(t *testing.T) {
	for _, name := range []string{"Connection", "content-length", "Content_Length", "Transfer-Encoding",
		"transfer_encoding", "TE", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
		"", "a b", "a:", "a\r\nb", "\u00e4", "a\x00", ":path"} {
		if RequestField(name) == nil {
			t.Errorf("%q can be changed in requests", name)
		}
		if ResponseField(name) == nil {
			t.Errorf("%q can be changed in answers", name)
		}
	}
	for _, name := range []string{"Host", "Expect", "Forwarded", "X-Forwarded-For", "X_Forwarded_For", "x-real-ip"} {
		if RequestField(name) == nil {
			t.Errorf("%q can be changed in requests", name)
		}
	}
	for _, name := range []string{"Content-Encoding", "Strict-Transport-Security", "Date", "Content-Range"} {
		if ResponseField(name) == nil {
			t.Errorf("%q can be changed in answers", name)
		}
	}
	for _, name := range []string{"X-Frame-Options", "Server", "cache-control", "Set-Cookie", "Content-Security-Policy"} {
		if err := ResponseField(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Tenant", "Accept-Encoding"} {
		if err := RequestField(name); err != nil {
			t.Error(err)
		}
	}
}

func TestAValueCannotEndItsLine(t *testing.T) {
	for _, v := range []string{"a\r\nb: c", "a\nb", "a\rb", "a\x00", "\x7f", " a", "a\t", "\xff",
		strings.Repeat("a", 5000)} {
		if Value(v) == nil {
			t.Errorf("%.20q is a value", v)
		}
	}
	for _, v := range []string{"", "a", "a\tb", "default-src 'self'; img-src *", "gr\u00fc\u00df"} {
		if err := Value(v); err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestOptionsThatCannotBeServedAreRefused(t *testing.T) {
	good := rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "a.html", Hash: "0f"}
	if err := Validate(&rhumb.RouteOptions{Maintenance: &good}); err != nil {
		t.Error(err)
	}
	field := []rhumb.HeaderField{{Name: "Connection", Value: "close"}}
	many := make([]string, MaxFields+1)
	for i := range many {
		many[i] = "A"
	}
	for what, o := range map[string]rhumb.RouteOptions{
		"a redirect without a place": {Redirect: &rhumb.Redirect{Status: 308}},
		"a redirect with 200":        {Redirect: &rhumb.Redirect{To: "/a", Status: 200}},
		"a host with a path":         {Canonical: "a/b"},
		"a realm with a quote":       {Auth: &rhumb.BasicAuth{Realm: `a"b`, Users: good}},
		"users without a hash":       {Auth: &rhumb.BasicAuth{Realm: "a"}},
		"a hash that is a path":      {Maintenance: &rhumb.RouteFile{Kind: rhumb.FileRoute, Hash: "../../key"}},
		"a set of Connection":        {Request: rhumb.HeaderChanges{Set: field}},
		"an addition of Connection":  {Response: rhumb.HeaderChanges{Add: field}},
		"a removal of Connection":    {Response: rhumb.HeaderChanges{Remove: []string{"connection"}}},
		"many changes":               {Request: rhumb.HeaderChanges{Remove: many}},
		"a page for 200":             {Pages: []rhumb.ErrorPage{{Status: 200, File: good}}},
		"two pages for 404":          {Pages: []rhumb.ErrorPage{{Status: 404, File: good}, {Status: 404, File: good}}},
		"a negative timeout":         {Timeouts: rhumb.Timeouts{Idle: -1}},
		"a buffer of a gigabyte":     {Buffer: rhumb.Buffer{Response: 1 << 30}},
	} {
		if Validate(&o) == nil {
			t.Errorf("%s can be served", what)
		}
	}
}
