package parse

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// texts runs lines, one per millisecond, through Traces and returns the texts that come out.
func texts(lines ...string) []string {
	var t Traces
	var out []Line
	for i, text := range lines {
		var l Line
		l.Time, l.Text, l.At = time.UnixMilli(int64(i)), text, int64(i)
		out = t.Add(l, out)
	}
	out = t.FlushAll(out)
	all := make([]string, 0, len(out))
	for _, l := range out {
		all = append(all, l.Text)
	}
	return all
}

// traces are what programs of each language write. Lines before and after, between which they stand in the test, don't
// belong to them. A line "=====" separates those that do not belong together.
var traces = map[string]string{
	"Java": `Exception in thread "main" java.lang.IllegalStateException: cart is closed
	at com.example.shop.Cart.add(Cart.java:42)
	at com.example.shop.Main.main(Main.java:7)
Caused by: java.io.IOException: disk
	at java.base/java.io.FileOutputStream.write(FileOutputStream.java:349)
	... 12 more
	Suppressed: java.lang.RuntimeException: close
		at com.example.shop.Cart.close(Cart.java:50)`,
	"Java with a logger": `2026-11-28T03:47:55.123Z ERROR 1 --- [main] c.e.shop.Cart : can't add
java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null
	at com.example.shop.Cart.add(Cart.java:42) ~[classes/:na]
	at jdk.internal.reflect.DirectMethodHandleAccessor.invoke(Unknown Source)
	... 3 common frames omitted`,
	"Python": `Traceback (most recent call last):
  File "/app/shop.py", line 12, in <module>
    main()
    ~~~~^^
  File "/app/shop.py", line 8, in main
    return cart["id"]
KeyError: 'id'`,
	"Python with a logger and a chain": `ERROR:shop.cart:can't add
Traceback (most recent call last):
  File "/app/shop.py", line 3, in add
    int("x")
ValueError: invalid literal for int() with base 10: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/shop.py", line 5, in add
    raise CartError("no")
shop.errors.CartError: no`,
	"Go": `panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*cart).add(...)
	/src/main.go:12
main.main()
	/src/main.go:7 +0x1d
exit status 2`,
	"Go of a signal": `panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47b2c5]

goroutine 18 [running]:
net/http.(*conn).serve.func1()
	/usr/local/go/src/net/http/server.go:1947 +0xbe
panic({0x6a1b40?, 0x8f3d10?})
	/usr/local/go/src/runtime/panic.go:785 +0x132
created by net/http.(*Server).Serve in goroutine 1
	/usr/local/go/src/net/http/server.go:3360 +0x485`,
	"Go of a server": `2026/11/28 03:47:55 http: panic serving 10.0.0.9:41234: no cart
goroutine 34 [running]:
net/http.(*conn).serve.func1()
	/usr/local/go/src/net/http/server.go:1947 +0xbe`,
	"Node": `TypeError: Cannot read properties of undefined (reading 'id')
    at addToCart (/app/cart.js:12:18)
    at async /app/server.js:30:5
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`,
	"Node, uncaught": `/app/server.js:4
    throw new Error('no cart')
    ^

Error: no cart
    at Object.<anonymous> (/app/server.js:4:9)
    at Module._compile (node:internal/modules/cjs/loader:1554:14)

Node.js v22.11.0`,
	"Node with properties": `Error: connect ECONNREFUSED 127.0.0.1:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1607:16) {
  errno: -111,
  code: 'ECONNREFUSED',
  syscall: 'connect'
}`,
	"Ruby": "/app/cart.rb:3:in `add': no cart (RuntimeError)\n\tfrom /app/shop.rb:7:in `block in run'\n" +
		"\tfrom /app/shop.rb:9:in `<main>'",
	"Ruby 3.4": "/app/cart.rb:3:in 'Cart#add': no cart (RuntimeError)\n\tfrom /app/shop.rb:7:in 'Object#run'",
	"PHP": `PHP Fatal error:  Uncaught RuntimeException: no cart in /app/cart.php:12
Stack trace:
#0 /app/shop.php(5): Cart->add()
#1 {main}
  thrown in /app/cart.php on line 12`,
	"Laravel": `[2026-11-28 03:47:55] production.ERROR: no cart {"exception":"[object] (RuntimeException(code: 0): no cart
[stacktrace]
#0 /app/shop.php(5): Cart->add()
#1 {main}
"}`,
	".NET": `Unhandled exception. System.InvalidOperationException: no cart
 ---> System.IO.IOException: disk
   at Shop.Disk.Write(String name) in /src/Disk.cs:line 9
   --- End of inner exception stack trace ---
   at Shop.Cart.Add() in /src/Cart.cs:line 12
   at Program.Main() in /src/Program.cs:line 3`,
	".NET's console logger": `fail: Shop.Cart[17]
      can't add
      System.InvalidOperationException: no cart
         at Shop.Cart.Add() in /src/Cart.cs:line 12`,
	"Rust": `thread 'main' panicked at src/main.rs:4:5:
no cart
note: run with ` + "`RUST_BACKTRACE=1`" + ` environment variable to display a backtrace`,
	"Rust with a trace": `thread 'tokio-runtime-worker' panicked at src/cart.rs:12:9:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: rust_begin_unwind
             at /rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/std/src/panicking.rs:665:5
   1: shop::cart::add
             at ./src/cart.rs:12:9
note: Some details are omitted, run with ` + "`RUST_BACKTRACE=full`" + ` for a verbose backtrace.`,
}

func TestTheLinesOfATraceAreJoined(t *testing.T) {
	for name, trace := range traces {
		lines := append(append([]string{"GET /cart 200"}, strings.Split(trace, "\n")...), "GET /cart 500", "the next line")
		want := []string{"GET /cart 200", trace, "GET /cart 500", "the next line"}
		if got := texts(lines...); !slices.Equal(got, want) {
			t.Errorf("%s: %d lines: %q", name, len(got), got)
		}
		coloured := make([]string, len(lines))
		for i, l := range lines {
			coloured[i] = "\x1b[31m" + l + "\x1b[0m"
		}
		if got := texts(coloured...); len(got) != 4 {
			t.Errorf("%s in colour: %d lines: %q", name, len(got), got)
		}
	}
}

func TestOtherLinesAreNotJoined(t *testing.T) {
	for _, lines := range [][]string{
		{"one", "two", "three"},
		{"", "", "a", ""},
		{"starting", "Traceback (most recent call last):"},
		{"INFO done", "java.lang.Exception: x"},
		{"a list:", "  - one", "  - two"},
		{`{"a":1}`, "\tat something"},
		{"an INFO line", "goroutines are running"},
		{"#1 in the list", "#2 in the list"},
	} {
		if got := texts(lines...); !slices.Equal(got, lines) {
			t.Errorf("%q became %q", lines, got)
		}
	}
}

func TestALineThatComesTooLateIsNotJoined(t *testing.T) {
	at := time.Unix(1, 0)
	line := func(text string, after time.Duration) (l Line) {
		l.Text, l.Time, l.At = text, at.Add(after), int64(after)
		return l
	}
	var tr Traces
	out := tr.Add(line("Error: no cart", 0), nil)
	if d, ok := tr.Deadline(); !ok || !d.Equal(at.Add(lineGap)) || len(out) != 0 {
		t.Fatalf("deadline %v, %v; out %v", d, ok, out)
	}
	if out = tr.Flush(at.Add(lineGap-1), out); len(out) != 0 {
		t.Fatalf("too early: %v", out)
	}
	if out = tr.Add(line("    at a.js:1", lineGap+1), out); len(out) != 1 {
		t.Fatalf("joined: %v", out)
	}
	if out = tr.Flush(at.Add(2*lineGap+1), out); len(out) != 2 || out[1].Text != "    at a.js:1" {
		t.Errorf("at the end: %v", out)
	}
}

func TestALongTraceIsBounded(t *testing.T) {
	lines := []string{"Error: x"}
	for range 2*maxJoined + 10 {
		lines = append(lines, "    at "+strings.Repeat("f", 50))
	}
	got := texts(lines...)
	if len(got) != 3 || strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("%d lines", len(got))
	}
	lines = []string{"Error: x"}
	for range 10 {
		lines = append(lines, "    at "+strings.Repeat("f", maxJoinedSize/4))
	}
	for _, text := range texts(lines...) {
		if len(text) > maxJoinedSize+maxJoinedSize/4 {
			t.Errorf("%d bytes", len(text))
		}
	}
}

func TestTracesOfTwoStreamsDoNotMix(t *testing.T) {
	var tr Traces
	var out []Line
	add := func(text string, stderr bool, at int64) {
		var l Line
		l.Text, l.Stderr, l.At, l.Time = text, stderr, at, time.UnixMilli(at)
		out = tr.Add(l, out)
	}
	add("Error: x", true, 1)
	add("one", false, 2)
	add("    at a.js:1", true, 3)
	add("two", false, 4)
	if at, _, ok := tr.Begun(); !ok || at != 1 || len(out) != 0 {
		t.Fatalf("begun at %d, %v; out %v", at, ok, out)
	}
	add("next", true, 5)
	out = tr.FlushAll(out)
	var got []string
	for _, l := range out {
		got = append(got, l.Text)
	}
	if !slices.Equal(got, []string{"Error: x\n    at a.js:1", "one", "two", "next"}) {
		t.Errorf("%q", got)
	}
}

// pool are lines out of which random logs are made.
func pool() []string {
	lines := []string{"", "plain", `{"a":1}`, "ERROR x", "    at f", "}", "  code: 1 {"}
	for _, trace := range traces {
		lines = append(lines, strings.Split(trace, "\n")...)
	}
	slices.Sort(lines)
	return lines
}

func TestNoLineIsLostOrChangedByJoining(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	lines := pool()
	for range 200 {
		var tr Traces
		var in [2][]string
		var out []Line
		at := time.Unix(0, 0)
		for i := range 200 {
			var l Line
			at = at.Add(time.Duration(rng.Int64N(int64(60 * time.Millisecond))))
			l.Text, l.Stderr, l.Time, l.At = lines[rng.IntN(len(lines))], rng.IntN(4) == 0, at, int64(i)
			in[stream(l.Stderr)] = append(in[stream(l.Stderr)], l.Text)
			out = tr.Add(l, out)
			if rng.IntN(10) == 0 {
				out = tr.Flush(at.Add(time.Duration(rng.Int64N(int64(traceGap)))), out)
			}
		}
		out = tr.FlushAll(out)
		var got [2][]string
		for _, l := range out {
			got[stream(l.Stderr)] = append(got[stream(l.Stderr)], l.Text)
		}
		for s := range in {
			if a, b := strings.Join(in[s], "\n"), strings.Join(got[s], "\n"); a != b {
				t.Fatalf("stream %d: %q became %q", s, a, b)
			}
		}
	}
}

// FuzzTraces proves that joining loses and changes nothing, whatever the lines.
func FuzzTraces(f *testing.F) {
	for _, trace := range traces {
		f.Add(trace)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := strings.Join(texts(strings.Split(s, "\n")...), "\n"); got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
