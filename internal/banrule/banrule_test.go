package banrule

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

func TestAPatternFitsWhatItsStarsAllow(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/login", "/login", true},
		{"/login", "/Login", true},
		{"/login", "/login/", false},
		{"/login", "/logi", false},
		{"/wp-*", "/wp-login.php", true},
		{"/wp-*", "/wp-", true},
		{"/wp-*", "/a/wp-login.php", false},
		{"*/wp-*", "/a/wp-login.php", true},
		{"*", "", true},
		{"", "", true},
		{"", "/", false},
		{"*.sql", "/a.sql.sql", true},
		{"*.sql", "/a.sqlx", false},
		{"/a*b*c", "/aXbYbZc", true},
		{"/a*b*c", "/aXbYbZ", false},
		{"**a", "/bca", true},
		{"/é", "/é", true},
	} {
		if got := Fits(c.pattern, c.path); got != c.want {
			t.Errorf("%q fits %q: %v, want %v", c.path, c.pattern, got, c.want)
		}
	}
}

func TestFittingAllocatesNothing(t *testing.T) {
	path := "/" + strings.Repeat("wp", 100)
	fits := false
	if n := testing.AllocsPerRun(100, func() { fits = Fits("*/wp-*", path) }); n != 0 || fits {
		t.Errorf("%v allocations, and it fits: %v", n, fits)
	}
}

// FuzzAPatternMeansTheSameAsItsExpression compares with a regular expression of the same meaning.
func FuzzAPatternMeansTheSameAsItsExpression(f *testing.F) {
	f.Add("/wp-*", "/wp-login.php")
	f.Add("*a*b", "xaxbxb")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if !isASCII(pattern+path) || len(pattern) > 50 || len(path) > 200 {
			t.Skip()
		}
		re := regexp.MustCompile("(?is)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if got, want := Fits(pattern, path), re.MatchString(path); got != want {
			t.Errorf("%q fits %q: %v, want %v", path, pattern, got, want)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

func TestTheClientIsFoundInALine(t *testing.T) {
	for _, c := range []struct{ match, line, want string }{
		{`auth failed from <client>$`, "12:00 auth failed from 192.0.2.7", "192.0.2.7"},
		{`auth failed from <client>`, "12:00 auth failed from 192.0.2.7.", "192.0.2.7"},
		{`auth failed from <client>`, "auth failed from 192.0.2.7:4711, user x", "192.0.2.7"},
		{`from <client>`, "from [2001:db8::1]:4711", "2001:db8::1"},
		{`from <client> `, "from 2001:db8::1 port 4711", "2001:db8::1"},
		{`from <client>`, "from ::ffff:192.0.2.7", "192.0.2.7"},
		{`from <client>`, "from 999.0.2.7", ""},
		{`from <client>`, "from example.com", ""},
		{`from <client>`, "to 192.0.2.7", ""},
		{`(a|b) (?P<x>c) <client>`, "b c 192.0.2.7", "192.0.2.7"},
		{`(?:<client>)?x`, "x", ""},
	} {
		l, err := CompileLine(c.match)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := l.Find(c.line)
		if want, err := netip.ParseAddr(c.want); ok != (err == nil) || got != want && ok {
			t.Errorf("%q in %q: %v %v, want %q", c.match, c.line, got, ok, c.want)
		}
	}
}

func TestAnExpressionNeedsExactlyOneClient(t *testing.T) {
	long := strings.Repeat("x", 1001) + "<client>"
	for _, match := range []string{"", "failed", "<client> <client>", "(<client>", long} {
		if _, err := CompileLine(match); err == nil {
			t.Errorf("%.40q is accepted", match)
		}
	}
}

func FuzzAnyLineIsRead(f *testing.F) {
	f.Add("from <client>", "from 192.0.2.1")
	f.Fuzz(func(t *testing.T, match, line string) {
		l, err := CompileLine(match)
		if err != nil {
			return
		}
		if client, ok := l.Find(line); ok && !client.IsValid() {
			t.Errorf("%q in %q: an invalid address", match, line)
		}
	})
}

func TestReadyMadeRulesAreWhole(t *testing.T) {
	if strings.Join(Names(), " ") != "flood login scanner wordpress" {
		t.Errorf("the names are %v", Names())
	}
	for _, name := range Names() {
		rules, ok := ReadyMade(name)
		seen := map[string]bool{}
		for _, r := range rules {
			if !ok || r.Count < 1 || r.In <= 0 || seen[r.Name] || !strings.HasPrefix(r.Name, name) {
				t.Errorf("%s: %+v", name, r)
			}
			seen[r.Name] = true
		}
	}
	if rules, ok := ReadyMade("none"); ok || len(rules) > 0 {
		t.Errorf("there are rules of the name none: %v", rules)
	}
	first, _ := ReadyMade("login")
	first[0].Count = 1000
	if second, _ := ReadyMade("login"); second[0].Count == 1000 {
		t.Error("a caller can change the ready-made rules")
	}
}
