package parse

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestALineOfAJSONFileIsAPiece(t *testing.T) {
	at := time.Date(2026, 11, 28, 3, 47, 55, 123456789, time.UTC)
	for _, c := range []struct {
		name, line, text      string
		at                    time.Time
		stderr, ended, broken bool
	}{
		{"plain", `{"log":"hello\n","stream":"stdout",TIME}`, "hello", at, false, true, false},
		{"stderr", `{"log":"hello\n","stream":"stderr",TIME}`, "hello", at, true, true, false},
		{"a part", `{"log":"hello","stream":"stdout",TIME}`, "hello", at, false, false, false},
		{"a terminal's line end", `{"log":"hello\r\n","stream":"stdout",TIME}`, "hello", at,
			false, true, false},
		{"escapes", `{"log":"\u003ca\u003e \"q\" \\ \t\u001b[1m€\n","stream":"stdout",TIME}`,
			"<a> \"q\" \\ \t\x1b[1m€", at, false, true, false},
		{"rare escapes", `{"log":"\u20ac\ud83d\ude00\b\n","stream":"stdout",TIME}`, "€😀\b", at,
			false, true, false},
		{"attributes", `{"log":"x\n","stream":"stdout","attrs":{"tag":"a"},TIME}`, "x", at,
			false, true, false},
		{"a short time", `{"log":"x\n","stream":"stdout","time":"2026-11-28T03:47:55.1Z"}`, "x",
			at.Truncate(100 * time.Millisecond), false, true, false},
		{"a zone", `{"log":"x\n","stream":"stdout","time":"2026-11-28T04:47:55+01:00"}`, "x", at.Truncate(time.Second), false,
			true, false},
		{"an empty line", `{"log":"\n","stream":"stdout",TIME}`, "", at, false, true, false},
		{"an ending backslash", `{"log":"a\\n","stream":"stdout",TIME}`, `a\n`, at, false,
			false, false},
		{"cut off", `{"log":"hel`, `{"log":"hel`, time.Time{}, false, true, true},
		{"glued", `{"log":"hel{"log":"x\n","stream":"stdout","time":"2026-11-28T03:47:55Z"}`,
			`{"log":"hel{"log":"x\n","stream":"stdout","time":"2026-11-28T03:47:55Z"}`, time.Time{}, false, true, true},
		{"zeros", "\x00\x00", "\x00\x00", time.Time{}, false, true, true},
		{"no time", `{"log":"x\n"}`, `{"log":"x\n"}`, time.Time{}, false, true, true},
	} {
		var r Reader
		line := strings.ReplaceAll(c.line, "TIME", `"time":"2026-11-28T03:47:55.123456789Z"`)
		p := r.Read([]byte(line + "\n"))
		if string(p.Text) != c.text || !p.Time.Equal(c.at) || p.Stderr != c.stderr || p.Ended != c.ended ||
			p.Broken != c.broken {
			t.Errorf("%s: %+v %q", c.name, p, p.Text)
		}
	}
}

func TestDockersFormIsReadFast(t *testing.T) {
	line := []byte(`{"log":"say \"hi\" \u003cb\u003e\n","stream":"stdout","time":"2026-11-28T03:47:55.123456789Z"}` + "\n")
	var r Reader
	if n := testing.AllocsPerRun(100, func() { r.Read(line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRead proves that the fast reader agrees with encoding/json, and that no byte of a broken line is lost.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"log":"a\n","stream":"stdout","time":"2026-11-28T03:47:55.123456789Z"}`,
		`{"log":"`, `{}`, "",
		`{"log":"\u0041\\","stream":"stderr","time":"2024-02-29T00:00:00Z"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var r Reader
		got, ok := r.fast(line)
		if !ok {
			if p := r.Read(line); p.Broken && string(p.Text) != strings.TrimSuffix(string(line), "\n") {
				t.Errorf("%q became %q", line, p.Text)
			}
			return
		}
		want := slow(line)
		if !json.Valid(line) {
			return // control characters and invalid UTF-8, which Docker never writes
		}
		if want.Broken || string(got.Text) != strings.ToValidUTF8(string(got.Text), "") ||
			!got.Time.Equal(want.Time) || got.Ended != want.Ended || string(got.Text) != string(want.Text) {
			if strings.ToValidUTF8(string(line), "") == string(line) {
				t.Errorf("%q: %+v %q, want %+v %q", line, got, got.Text, want, want.Text)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	line := []byte(`{"log":"10.0.0.1 - - [28/Nov/2026:03:47:55 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n",` +
		`"stream":"stdout","time":"2026-11-28T03:47:55.123456789Z"}` + "\n")
	var r Reader
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		r.Read(line)
	}
}
