package protocol

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rhumb"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 123456789, time.UTC)

func line(text string) Line {
	return Line{LogLine: rhumb.LogLine{
		Time: noon, Stack: "shop", Service: "web", Replica: "shop-web.7.1", Text: text, Release: 7, Stderr: true,
		Level: rhumb.LevelError, Container: "c0ffee", Fields: map[string]string{"user id": "5", "replica": "not ours"},
	}, Number: 42}
}

func TestSyslogMessagesAreThoseOfRFC5424(t *testing.T) {
	odd := Line{LogLine: rhumb.LogLine{Time: noon, Kind: rhumb.LineProxy, Text: "x", Level: 99,
		Replica: strings.Repeat("r", 200) + " é"}}
	quoted := line("x")
	quoted.Container, quoted.Stack = `a"b]c\d`, ""
	for _, c := range []struct {
		line Line
		want string
	}{
		{line("two\nlines"), `<11>1 2026-11-28T12:00:00.123456Z h_st shop-web shop-web.7.1 - ` +
			`[rhumb@32473 stack="shop" service="web" stream="stderr" replica="shop-web.7.1" release="7" ` +
			`container="c0ffee" level="error"] ` + "two\nlines"},
		{quoted, `<11>1 2026-11-28T12:00:00.123456Z h_st web shop-web.7.1 - [rhumb@32473 ` +
			`service="web" stream="stderr" replica="shop-web.7.1" release="7" container="a\"b\]c\\d" level="error"] x`},
	} {
		got := string(syslog{host: "h st"}.frame(nil, c.line))
		size, body, _ := strings.Cut(got, " ")
		if body != c.want {
			t.Errorf("got  %s\nwant %s", body, c.want)
		}
		if size != number(len(body)) {
			t.Errorf("the length is %s, of %d bytes", size, len(body))
		}
	}
	got := string(syslog{}.message(odd))
	want := "<14>1 2026-11-28T12:00:00.123456Z - rhumb-proxy " + strings.Repeat("r", 128) + " proxy ["
	if !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestASyslogPacketIsCutBetweenCharacters(t *testing.T) {
	for i := range 4 {
		p, err := syslog{most: maxSyslogPacket}.packets(line(strings.Repeat("x", i) + strings.Repeat("日", 5000)))
		if err != nil || len(p) != 1 || len(p[0]) > maxSyslogPacket || len(p[0]) < maxSyslogPacket-4 || !utf8.Valid(p[0]) {
			t.Errorf("%d packets, %v", len(p), err)
		}
	}
}

func gelfFields(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGELFHasItsRequiredFieldsAndOurs(t *testing.T) {
	b := gelf{host: "host"}.frame(nil, line("a\x00b\xff"))
	if b[len(b)-1] != 0 || bytes.Count(b, []byte{0}) != 1 {
		t.Errorf("%q doesn't end with its only zero byte", b)
	}
	if !bytes.Contains(b, []byte(`"timestamp":1795867200.123456`)) {
		t.Errorf("wrong time: %s", b)
	}
	m := gelfFields(t, b[:len(b)-1])
	for name, want := range map[string]any{
		"version": "1.1", "host": "host", "short_message": "a\x00b\ufffd", "level": 3.0, "_stack": "shop", "_service": "web",
		"_stream": "stderr", "_release": 7.0, "_replica": "shop-web.7.1", "_container": "c0ffee", "_user_id": "5",
		"_level": "error",
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if m := gelfFields(t, gelf{}.message(line(" "))); m["short_message"] != "-" || m["host"] != "-" {
		t.Errorf("an empty line is %v", m)
	}
}

func TestGELFChunksMakeTheMessageAgain(t *testing.T) {
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte('!' + rand.IntN(90))
	}
	for size, chunks := range map[int]int{10: 1, 3000: 2, 100_000: 60, 300_000: 30} {
		packets, err := gelf{}.packets(line(string(noise[:size])))
		if err != nil || len(packets) < chunks || len(packets) > gelfChunks {
			t.Fatalf("%d bytes: %d chunks, %v, want at least %d", size, len(packets), err, chunks)
		}
		var b []byte
		for i, p := range packets {
			if len(packets) > 1 {
				if p[0] != 0x1e || p[1] != 0x0f || !bytes.Equal(p[2:10], packets[0][2:10]) || int(p[10]) != i ||
					int(p[11]) != len(packets) {
					t.Fatalf("chunk %d begins with % x", i, p[:12])
				}
				p = p[12:]
			}
			b = append(b, p...)
		}
		if got := gelfFields(t, unzip(t, b))["short_message"]; got != string(noise[:size]) {
			t.Errorf("%d bytes come out otherwise", size)
		}
	}
	if _, err := (gelf{}).packets(line(string(noise))); err == nil {
		t.Error("3 MB of noise fit into 128 chunks")
	}
}

func unzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLokiHasFewLabels(t *testing.T) {
	access := line("x")
	access.Stack, access.Service, access.Kind, access.Stderr = "", "", rhumb.LineProxy, false
	got := string(loki{host: "h", metadata: true}.encode([]Line{line("a"), access, line("b")}))
	want := `{"streams":[{"stream":{"service":"web","stack":"shop","stream":"stderr"},"values":[` +
		`["1795867200123456789","a",{"container":"c0ffee","host":"h","level":"error","release":"7",` +
		`"replica":"shop-web.7.1"}],` +
		`["1795867200123456789","b",{"container":"c0ffee","host":"h","level":"error","release":"7",` +
		`"replica":"shop-web.7.1"}]]},` +
		`{"stream":{"service":"rhumb-proxy","stream":"stdout"},"values":[["1795867200123456789","x",` +
		`{"container":"c0ffee","host":"h","kind":"proxy","level":"error","release":"7","replica":"shop-web.7.1"}]]}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(loki{}.encode([]Line{line("a")})); !strings.Contains(got, `"values":[["1795867200123456789","a"]]`) {
		t.Errorf("without metadata: %s", got)
	}
}

func FuzzProtobuf(f *testing.F) {
	f.Add(appendBytes(nil, 1, appendString([]byte{1 << 3, 5}, 2, "no")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := (otlp{}).accept(make([]Line, 3), b); r.Refused < 0 || r.Refused > 3 {
			t.Errorf("%d of 3 lines are refused", r.Refused)
		}
	})
}
