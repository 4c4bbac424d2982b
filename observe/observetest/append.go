package observetest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// odd are texts and values that a store may lose or change.
var odd = map[string]string{
	"empty":              "",
	"a space":            " ",
	"spaces around it":   "  at main.main()\t ",
	"escape sequences":   "\x1b[31mred\x1b[0m",
	"a line end":         "first\nsecond\r\n",
	"not UTF-8":          "\xff\xfe\x00\x80binary",
	"a zero byte":        "\x00",
	"quotes":             `"a" 'b' ` + "`c`" + ` \ \\ \n`,
	"JSON":               `{"a":"b","c":[1,2],"_msg":"x","_time":"2020-01-01T00:00:00Z"}`,
	"a number":           "0042",
	"a float":            "1.50",
	"an IP address":      "10.0.0.01",
	"a time":             "2026-01-02T03:04:05.600Z",
	"a negative number":  "-0",
	"a large number":     "18446744073709551616",
	"a replacement rune": "\ufffd",
	"long":               strings.Repeat("0123456789abcdef", 4096),
}

var appendTests = map[string]func(*bench){
	"every field of a line comes back": func(b *bench) {
		l := rhumb.LogLine{
			Time: b.start.Add(123456789), Stack: "shop", Service: "web", Replica: "shop-web-1", Stderr: true, Text: "hello",
			Container: "c1", Release: 7, Kind: rhumb.LineAccess, Level: rhumb.LevelWarn, Cut: 5,
			Fields: map[string]string{"status": "200", "req.path": "/", "stack": "other", "_msg": "x", "_time": "y", "": "z"},
		}
		b.take(l)
		for name, got := range map[string][]rhumb.LogLine{"Lines": b.read(rhumb.LogQuery{}), "Since": b.since("c1", l.Time)} {
			if diff := cmp.Diff([]rhumb.LogLine{l}, got); diff != "" {
				b.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	},
	"odd texts and values come back": func(b *bench) {
		for name, text := range odd {
			l := b.line(0, text)
			l.Container, l.Fields = name, map[string]string{"value": text, "name " + text: "x"}
			if len(text) > 100 {
				delete(l.Fields, "name "+text)
			}
			b.take(l)
			if diff := cmp.Diff([]rhumb.LogLine{l}, b.since(name, l.Time)); diff != "" {
				b.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	},
	"lines without a stack and a service come back": func(b *bench) {
		b.take(rhumb.LogLine{Time: b.start, Kind: rhumb.LineDaemon, Text: "ready"}, b.line(1, "shop's"))
		b.want(rhumb.LogQuery{Kinds: []rhumb.LineKind{rhumb.LineDaemon}}, "ready")
		b.want(rhumb.LogQuery{Kinds: []rhumb.LineKind{rhumb.LineDaemon, rhumb.LineOutput}}, "ready", "shop's")
	},
	"similar names of stacks are different stacks": func(b *bench) {
		names := []string{"shop", "Shop", "sho", "shop-1", "../shop", "sh/op", "", ".", "a" + strings.Repeat("b", 300), "ü"}
		for _, name := range names {
			l := b.line(0, "of "+name)
			l.Stack = name
			b.take(l)
		}
		for _, name := range names[:6] {
			b.want(rhumb.LogQuery{Stack: name}, "of "+name)
		}
		if got := b.read(rhumb.LogQuery{}); len(got) != len(names) {
			b.Errorf("%d lines of %d stacks: %q", len(got), len(names), texts(got))
		}
	},
	"a very long line is cut": func(b *bench) {
		l := b.line(0, strings.Repeat("x", 5<<20))
		b.take(l)
		got := b.read(rhumb.LogQuery{})
		if len(got) != 1 || len(got[0].Text)+got[0].Cut != 5<<20 || len(got[0].Text) < 1<<19 {
			b.Fatalf("%d lines, want one whose text and cut are %d bytes", len(got), 5<<20)
		}
	},
	"lines at the same time keep their order": func(b *bench) {
		var want []string
		for i := range 50 {
			var batch []rhumb.LogLine
			for j := range 20 {
				l := b.line(0, fmt.Sprint(i, " ", j))
				l.Stderr, l.Level = j%3 == 0, rhumb.Level(j%5)
				batch, want = append(batch, l), append(want, l.Text)
			}
			b.take(batch...)
		}
		b.want(rhumb.LogQuery{}, want...)
		b.want(rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: 5}}, want[len(want)-5:]...)
	},
	"the caller's lines are not kept": func(b *bench) {
		lines := []rhumb.LogLine{b.line(0, "mine")}
		lines[0].Fields = map[string]string{"a": "b"}
		b.take(lines...)
		lines[0].Text, lines[0].Fields["a"] = "changed", "changed"
		got := b.read(rhumb.LogQuery{})
		if len(got) != 1 || got[0].Text != "mine" || !maps.Equal(got[0].Fields, map[string]string{"a": "b"}) {
			b.Errorf("got %+v", got)
		}
	},
	"since returns the lines of one container from a time on": func(b *bench) {
		b.take(b.numbered("c1", 100)...)
		b.take(b.numbered("c10", 100)...)
		if got := b.since("c1", b.start.Add(90*time.Millisecond)); len(got) != 10 {
			b.Errorf("got %q, want 10 lines", texts(got))
		}
		n := 0
		if err := b.Since(b.Context(), "c1", b.start, func(rhumb.LogLine) bool { n++; return n < 3 }); n != 3 || err != nil {
			b.Errorf("yield was called %d times: %v", n, err)
		}
	},
	"an empty batch is taken": func(b *bench) {
		b.take()
		b.want(rhumb.LogQuery{})
		if err := b.Sync(b.Context()); err != nil {
			b.Error(err)
		}
	},
	"nothing is taken after the context has ended": func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if n, err := b.Append(ctx, []rhumb.LogLine{b.line(0, "late")}); n != 0 || err == nil {
			b.Errorf("%d lines were taken: %v", n, err)
		}
		b.want(rhumb.LogQuery{})
	},
}
