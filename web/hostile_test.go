package web

import (
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostilePages are pages that show texts of users, applications and other machines.
var hostilePages = []string{
	"/stacks", "/stacks/shop", "/stacks/shop/deployments/811", "/stacks/shop/deployments/813", "/stacks/shop/rollback",
	"/certificates", "/events", "/events?stack=" + "%3Cscript%3Ealert(1)%3C/script%3E",
}

func TestHostileTextStaysText(t *testing.T) {
	s := hostileWorld().server()
	for _, path := range hostilePages {
		rec := get(t, s, path)
		if rec.Code != 200 {
			t.Errorf("%s: %d", path, rec.Code)
		}
		body := rec.Body.String()
		if n := strings.Count(body, "<script"); n != 1 {
			t.Errorf("%s has %d scripts, want its own", path, n)
		}
		if strings.Contains(body, "<img") {
			t.Errorf("%s has an element of a text's own", path)
		}
		if at := strings.IndexFunc(body, hides); at >= 0 {
			t.Errorf("%s: a character hides: %+q", path, body[max(0, at-40):at+8])
		}
		text := addresses.ReplaceAllString(body, "") // an address needs the whole name
		if len(text) > 100<<10 {
			t.Errorf("%s has %d bytes although each text is cut", path, len(text))
		}
		if strings.Contains(text, strings.Repeat("W", 2500)) {
			t.Errorf("%s has a text in full length", path)
		}
	}
}

var addresses = regexp.MustCompile(` (href|value|data-live)="[^"]*"`)

func TestPagesAreWellFormed(t *testing.T) {
	for _, w := range []*world{shopWorld(), hostileWorld(), awayWorld(), brokenWorld(), newWorld()} {
		for _, path := range hostilePages {
			d := xml.NewDecoder(get(t, w.server(), path).Body)
			d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
			depth := 0
			for {
				tok, err := d.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				switch tok.(type) {
				case xml.StartElement:
					depth++
				case xml.EndElement:
					depth--
				}
			}
			if depth != 0 {
				t.Errorf("%s: %d elements aren't closed", path, depth)
			}
		}
	}
}

func TestCharactersThatHideAreWrittenOut(t *testing.T) {
	for text, want := range map[string]string{
		"plain\nüñî 👩‍👩‍👧":   "plain\nüñî 👩‍👩‍👧",
		"a\u202eb":           `a\u202eb`,
		"\x1b[31mred":        `\x1b[31mred`,
		"x\u2066y\u2069":     `x\u2066y\u2069`,
		"\u200b\ufeff\u061c": `\u200b\ufeff\u061c`,
		"bad\xffbyte":        "bad\ufffdbyte",
	} {
		if got := string(visible([]byte(text))); got != want {
			t.Errorf("%+q is shown as %+q, want %+q", text, got, want)
		}
	}
}

func FuzzNothingHidesInAPage(f *testing.F) {
	f.Add("a\u202e\x1b\x00\u009b\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := string(visible([]byte(text)))
		if strings.ContainsFunc(got, hides) || !utf8.ValidString(got) {
			t.Errorf("%+q is shown as %+q", text, got)
		}
		if again := string(visible([]byte(got))); again != got {
			t.Errorf("%+q changes again, to %+q", got, again)
		}
	})
}

func TestNumbersAndTimesReadWell(t *testing.T) {
	for got, want := range map[string]string{
		rate(0): "0/s", rate(0.004): "<0.01/s", rate(0.25): "0.25/s", rate(43.14): "43.1/s", rate(12_340): "12.3k/s",
		percent(0): "0%", percent(0.00002): "<0.01%", percent(0.0002): "0.02%", percent(0.034): "3.4%", percent(1): "100%",
		seconds(0.0004): "<1 ms", seconds(0.038): "38 ms", seconds(1.24): "1.2 s",
		size(0): "0 B", size(999): "999 B", size(1200): "1.2 kB", size(999_700): "1.0 MB", size(5.2e8): "520 MB",
		count(0): "0", count(uint64(999)): "999", count(12040): "12,040", count(-1234567.4): "-1,234,567",
		plural(1, "stack"): "1 stack", plural(3000, "stack"): "3,000 stacks",
		cut(5, "abcdef"): "abcd…", cut(6, "abcdef"): "abcdef", cut(3, "äöüß"): "äö…", short("3f2a91cdd"): "3f2a91c",
		took(340 * time.Millisecond): "0.34 s", took(12 * time.Second): "12 s", took(74 * time.Second): "1 m 14 s",
		spoken(noon, noon.Add(-time.Hour), "15:04"): noon.Add(-time.Hour).Local().Format("15:04"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: ">now<", 3 * time.Minute: ">3m ago<", -48 * time.Hour: ">in 2d<", time.Second: ">1s ago<",
	} {
		if got := string(ago(noon, noon.Add(-d))); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	if got := string(ago(noon, time.Time{})); got != "never" {
		t.Errorf("the zero time is %q", got)
	}
}
