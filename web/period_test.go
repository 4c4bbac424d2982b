package web

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestPeriodsAreReadFromAddresses(t *testing.T) {
	local := func(s string) time.Time {
		at, err := time.ParseInLocation("2006-01-02 15:04:05", s, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		query    string
		from, to time.Time
		name     string
	}{
		{"", noon.Add(-time.Hour), noon, "1h"},
		{"range=6h", noon.Add(-6 * time.Hour), noon, "6h"},
		{"range=forever", noon.Add(-time.Hour), noon, "1h"},
		{"from=2026-11-28T10:00:00Z&to=2026-11-28T11:00:00Z", noon.Add(-2 * time.Hour), noon.Add(-time.Hour), ""},
		{"from=1795863600", time.Unix(1795863600, 0), noon, ""},
		{"to=2026-11-28T11:00:00Z", noon.Add(-2 * time.Hour), noon.Add(-time.Hour), ""},
		{"from=2026-11-27 08:30&to=2026-11-27T09:30", local("2026-11-27 08:30:00"), local("2026-11-27 09:30:00"), ""},
		{"from=2026-11-28T11:00:00Z&to=2027-01-01T00:00:00Z", noon.Add(-time.Hour), noon, ""},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		p, err := periodOf(q, noon, "1h")
		if err != nil || !p.From.Equal(c.from) || !p.To.Equal(c.to) || p.Range != c.name {
			t.Errorf("%q is %v, %v", c.query, p, err)
		}
	}
}

func TestWrongPeriodsAreRefused(t *testing.T) {
	for _, query := range []string{"from=yesterday", "to=-5", "from=2027-01-01T00:00:00Z", "from=1999-01-01T00:00:00Z",
		"from=2026-11-28T11:00:00Z&to=2026-11-28T10:00:00Z", "from=9999999999999999"} {
		rec := get(t, newWorld().server(), "/metrics?"+query)
		contains(t, rec, 400, "That can&#39;t be")
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := periodOf(q, noon, "1h"); rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) == "" {
			t.Errorf("%q: %v, without a hint", query, err)
		}
	}
}

func TestWaysToOtherTimesKeepTheRestOfTheAddress(t *testing.T) {
	r := httptest.NewRequest("GET", "/metrics?stack=shop&range=1h&by=service", nil)
	v := period{From: noon.Add(-time.Hour), To: noon, Range: "1h"}.seen(r, noon)
	for _, link := range []string{v.Earlier, v.Wider, v.Ranges[0].Link} {
		if !strings.Contains(link, "stack=shop") || !strings.Contains(link, "by=service") {
			t.Errorf("%s lacks a parameter", link)
		}
	}
	if v.Later != "" || v.Latest != "" {
		t.Errorf("the time that ends now has a later one: %q %q", v.Later, v.Latest)
	}
	if !strings.Contains(v.Earlier, "from=2026-11-28T10%3A30%3A00Z") || strings.Contains(v.Earlier, "range") {
		t.Errorf("earlier is %s", v.Earlier)
	}
}

func FuzzMomentOf(f *testing.F) {
	for _, seed := range []string{"", "1795863600", "2026-11-28T10:00:00Z", "2026-11-28 10:00", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := momentOf(text)
		if err != nil && rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%v", err)
		}
		if err == nil && text != "" && at.Unix() <= 0 {
			t.Errorf("%q is %v", text, at)
		}
	})
}
