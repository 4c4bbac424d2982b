package parse

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"rhumb"
)

func TestFieldsAreReadFromJSONAndLogfmt(t *testing.T) {
	for _, c := range []struct {
		text string
		want map[string]string
	}{
		{`{"msg":"hi","n":1.5,"ok":true,"none":null,"a":{"b":{"c":"d"}},"list":[1,{"x":2}]}`,
			map[string]string{"msg": "hi", "n": "1.5", "ok": "true", "a.b.c": "d", "list": `[1,{"x":2}]`}},
		{` {"msg":"a \"q\" \u20ac"} `, map[string]string{"msg": `a "q" €`}},
		{"\x1b[32m{\"a\":\"b\"}\x1b[0m", map[string]string{"a": "b"}},
		{`{}`, map[string]string{}},
		{`{"a":1} and more`, nil},
		{`{"a":`, nil},
		{`{not json}`, nil},
		{`time=2026-11-28T03:47:55Z level=info msg="hello \"you\"" user.id=7 empty= path=/a?b=c`,
			map[string]string{"time": "2026-11-28T03:47:55Z", "level": "info", "msg": `hello "you"`, "user.id": "7", "empty": "",
				"path": "/a?b=c"}},
		{"a=b", nil},
		{"connected with a=b c=d", nil},
		{"a=b c=d and words", nil},
		{`a="b`, nil},
		{"x = y, z = 3", nil},
	} {
		l := rhumb.LogLine{Text: c.text}
		Describe(&l)
		if !maps.Equal(l.Fields, c.want) || (l.Fields == nil) != (c.want == nil) || l.Text != c.text {
			t.Errorf("%q: %q", c.text, l.Fields)
		}
	}
}

func TestFieldsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"long":"` + strings.Repeat("x", maxFieldValue+1) + `","` + strings.Repeat("n", maxFieldName+1) + `":1`)
	for i := range 2 * maxFields {
		b.WriteString(`,"f` + strings.Repeat("i", i%100) + `":1`)
	}
	b.WriteString(`,"deep":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100) + "}")
	l := rhumb.LogLine{Text: b.String()}
	Describe(&l)
	if len(l.Fields) != maxFields || l.Fields["long"] != "" {
		t.Errorf("%d fields", len(l.Fields))
	}
}

func TestTheLevelOfALineIsRecognised(t *testing.T) {
	for _, c := range []struct {
		text string
		want rhumb.Level
	}{
		{`{"level":"warn","msg":"x"}`, rhumb.LevelWarn},
		{`{"severity":"ERROR","message":"x"}`, rhumb.LevelError},
		{`{"level":30,"time":1764301675123,"pid":1,"msg":"pino"}`, rhumb.LevelInfo},
		{`{"level":60,"msg":"pino"}`, rhumb.LevelFatal},
		{`{"level":10,"msg":"pino"}`, rhumb.LevelTrace},
		{`{"version":"1.1","short_message":"gelf","level":3}`, rhumb.LevelError},
		{`{"log":{"level":"debug"},"message":"ecs"}`, rhumb.LevelDebug},
		{`{"t":{"$date":"2026-11-28"},"s":"W","c":"NETWORK","msg":"mongo"}`, rhumb.LevelWarn},
		{`{"msg":"an ERROR in the text"}`, rhumb.LevelUnknown},
		{`time="2026-11-28T03:47:55Z" level=warning msg="logrus"`, rhumb.LevelWarn},
		{`time=2026-11-28T03:47:55.123Z level=ERROR msg="slog"`, rhumb.LevelError},
		{`ts=2026-11-28 caller=main.go:12 lvl=eror msg=x`, rhumb.LevelUnknown},
		{`2026/11/28 03:47:55 ERROR slog's default a=b`, rhumb.LevelError},
		{`E0102 15:04:05.678901   12345 file.go:12] glog`, rhumb.LevelError},
		{`I1128 03:47:55.123456       1 main.go:1] klog`, rhumb.LevelInfo},
		{`[ERROR] something`, rhumb.LevelError},
		{`[error] something`, rhumb.LevelError},
		{`ERROR: something`, rhumb.LevelError},
		{`error: something`, rhumb.LevelError},
		{`Warning: something`, rhumb.LevelWarn},
		{`2026/11/28 03:47:55 [error] 29#29: *1 open() "/usr/share/nginx/html/x" failed (2: No such file)`, rhumb.LevelError},
		{`2026/11/28 03:47:55 [notice] 1#1: start worker processes`, rhumb.LevelInfo},
		{`2026-11-28 03:47:55,123 - shop.cart - WARNING - low stock`, rhumb.LevelWarn},
		{`ERROR:root:something`, rhumb.LevelError},
		{`2026-11-28T03:47:55.123Z  WARN 1 --- [           main] c.e.Shop : spring`, rhumb.LevelWarn},
		{`03:47:55.123 [http-nio-8080-exec-1] ERROR com.example.Cart - logback`, rhumb.LevelError},
		{`2026-11-28 03:47:55.123 UTC [123] ERROR:  relation "x" does not exist at character 15`, rhumb.LevelError},
		{`2026-11-28 03:47:55.123 UTC [1] LOG:  database system is ready`, rhumb.LevelInfo},
		{`2026-11-28 03:47:55.123 UTC [9] FATAL:  password authentication failed`, rhumb.LevelFatal},
		{`E, [2026-11-28T03:47:55.123456 #1] ERROR -- : ruby`, rhumb.LevelError},
		{`2026-11-28T03:47:55.123456Z  INFO shop::cart: tracing`, rhumb.LevelInfo},
		{"\x1b[2m2026-11-28T03:47:55Z\x1b[0m \x1b[31mERROR\x1b[0m shop: coloured", rhumb.LevelError},
		{"\x1b[33mwarn\x1b[39m: winston", rhumb.LevelWarn},
		{`[2026-11-28T03:47:55Z DEBUG shop] env_logger`, rhumb.LevelDebug},
		{`2026-11-28T03:47:55.123456Z 0 [Warning] [MY-010068] [Server] mysql`, rhumb.LevelWarn},
		{`[Sat Nov 28 03:47:55.123456 2026] [core:error] [pid 7] apache`, rhumb.LevelError},
		{`PHP Fatal error:  Uncaught Exception: x in /app/a.php:3`, rhumb.LevelError},
		{`fail: Shop.Cart[17]`, rhumb.LevelError},
		{`panic: runtime error: index out of range [5] with length 3`, rhumb.LevelFatal},
		{`Traceback (most recent call last):`, rhumb.LevelError},
		{`thread 'main' panicked at src/main.rs:2:5:`, rhumb.LevelError},
		{`<3>a line for the journal`, rhumb.LevelError},
		{`listening on :8080`, rhumb.LevelUnknown},
		{`10.0.0.1 - - [28/Nov/2026:03:47:55 +0000] "GET /error HTTP/1.1" 500 1`, rhumb.LevelUnknown},
		{`no error was found in the info file`, rhumb.LevelUnknown},
		{`one two three four five six seven eight ERROR`, rhumb.LevelUnknown},
		{``, rhumb.LevelUnknown},
	} {
		for _, stderr := range []bool{false, true} {
			l := rhumb.LogLine{Text: c.text, Stderr: stderr}
			if Describe(&l); l.Level != c.want || l.Text != c.text {
				t.Errorf("%q (stderr %v): level %d, want %d", c.text, stderr, l.Level, c.want)
			}
		}
	}
}

// FuzzDescribe proves that no text makes a description fail or changes, and that objects are read as JSON reads them.
func FuzzDescribe(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,2]},"c":"\u0041"}`, `a=b c="d e"`,
		"\x1b[31mERROR\x1b[0m", "\x1b]0;t\x07E0102 x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l := rhumb.LogLine{Text: s}
		Describe(&l)
		if l.Text != s || len(l.Fields) > maxFields || l.Level < rhumb.LevelUnknown || l.Level > rhumb.LevelFatal {
			t.Errorf("%q: %+v", s, l)
		}
		var o map[string]json.RawMessage
		if json.Unmarshal([]byte(s), &o) == nil && o != nil && jsonFields(s) == nil {
			t.Errorf("%q is an object", s)
		}
		for k, v := range l.Fields {
			if k == "" && !strings.Contains(s, "=") || len(k) > maxFieldName || len(v) > maxFieldValue {
				t.Errorf("%q: field %q", s, k)
			}
		}
	})
}

func BenchmarkDescribeJSON(b *testing.B) {
	text := `{"level":"info","time":"2026-11-28T03:47:55Z","method":"GET","path":"/cart","status":200,"ms":1.5}`
	for b.Loop() {
		l := rhumb.LogLine{Text: text}
		Describe(&l)
	}
}

func BenchmarkDescribeText(b *testing.B) {
	text := `10.0.0.1 - - [28/Nov/2026:03:47:55 +0000] "GET /cart HTTP/1.1" 200 512 "-" "curl/8.0"`
	for b.Loop() {
		l := rhumb.LogLine{Text: text}
		Describe(&l)
	}
}
