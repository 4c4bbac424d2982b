package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"
)

// readResponse reads one response to GET. The bytes come in steps.
func readResponse(in []byte, step int) (m message, err error) {
	var r Response
	in = bytes.Clone(in) // Parse joins folded lines in it
	size := 0
	for come := step; size == 0; come += step {
		if size, err = r.Parse(in[:min(come, len(in))]); err != nil {
			return m, err
		}
		if size == 0 && come >= len(in) {
			return m, errMore
		}
	}
	m = message{first: strconv.Itoa(r.Status), fields: values(r.Fields, Other, Date)}
	var trailers []Field
	m.body, trailers, _, err = readBody(in[size:], r.BodyLength("GET"), step)
	m.trailers = values(trailers)
	return m, err
}

var responses = []struct{ want, in string }{
	{"ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"ok", "HTTP/1.1 200\r\n\r\nuntil the end"},
	{"ok", "HTTP/1.0 404 Not Found\nContent-Length: 0\n\n"},
	{"ok", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 0\r\n\r\n"},
	{"ok", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"},
	{"ok", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
	{"ok", "HTTP/1.1 204 No Content\r\n\r\n"},
	{"ok", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
	{"ok", "HTTP/1.1 999 Highest\r\nContent-Length: 0\r\n\r\n"},
	{"no", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"},
	{"no", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"},
	{"no", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"},
	{"no", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"},
	{"no", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"},
	{"no", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"no", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"no", "HTTP/1.1 099 Low\r\n\r\n"}, {"no", "HTTP/1.1 +99 Sign\r\n\r\n"}, {"no", "HTTP/1.1 1000 High\r\n\r\n"},
	{"no", "HTTP/1.1 20 Short\r\n\r\n"}, {"no", "HTTP/1.1 2x0 Letter\r\n\r\n"}, {"no", "HTTP/1.1 \r\n\r\n"},
	{"no", "HTTP/2.0 200 OK\r\n\r\n"}, {"no", "HTTP/1.1\t200 OK\r\n\r\n"}, {"no", "nonsense\r\n\r\n"},
	{"no", " HTTP/1.1 200 OK\r\n\r\n"}, {"no", "HTTP/1.1 200 OK\r\nX\r\n\r\n"}, {"no", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n"},
	{"no", "HTTP/1.1 200 O\x00K\r\n\r\n"}, {"no", "HTTP/1.1 200 OK\r\nX: a\x00\r\n\r\n"},
	{"no", "HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n"}, {"no", "HTTP/1.1 200 OK\r\nX y: b\r\n\r\n"},
	{"no", "HTTP/1.1 200 OK\r\n X: a\r\n\r\n"},
}

func TestResponsesAreRead(t *testing.T) {
	for _, e := range responses {
		for _, step := range []int{1 << 20, 1, 5} {
			if _, err := readResponse([]byte(e.in), step); (err == nil) != (e.want == "ok") {
				t.Errorf("%q in steps of %d: %v, want %s", e.in, step, err, e.want)
			}
		}
	}
}

func TestAConnectionIsReusedOnlyAfterAWholeAnswer(t *testing.T) {
	for in, want := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n":                                  true,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n":                         true,
		"HTTP/1.1 204 No Content\r\n\r\n":                                               true,
		"HTTP/1.1 200 OK\r\n\r\n":                                                       false,
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\n":          false,
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n":    false,
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n":                                  false,
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\n":        true,
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close, keep-alive\r\n\r\n": false,
	} {
		var r Response
		if _, err := r.Parse([]byte(in)); err != nil || r.Reusable("GET") != want {
			t.Errorf("%q: %v, %v", in, r.Reusable("GET"), err)
		}
	}
}

// FuzzTheLibraryReadsResponsesInTheSameWay holds our reading of responses against that of net/http.
func FuzzTheLibraryReadsResponsesInTheSameWay(f *testing.F) {
	for _, e := range responses {
		f.Add([]byte(e.in), 1<<20)
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		ours, err := readResponse(in, max(step, 1))
		if _, err2 := readResponse(in, 1<<20); (err == nil) != (err2 == nil) {
			t.Fatalf("in steps of %d: %v; at once: %v", step, err, err2)
		}
		if err != nil {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(in), 64<<10), nil)
		if err != nil {
			t.Fatalf("we accept %q, the library doesn't: %v", in, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("we accept the body of %q, the library doesn't: %v", in, err)
		}
		library := message{first: strconv.Itoa(resp.StatusCode), body: string(body), fields: folded(resp.Header),
			trailers: folded(resp.Trailer)}
		if d := differ(ours, library); d != "" {
			t.Fatalf("%s: we read %+v, the library %+v", d, ours, library)
		}
	})
}

const browsers = "GET /shop/cart?item=12 HTTP/1.1\r\nHost: shop.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Connection: keep-alive\r\nCookie: session=0123456789abcdef; theme=dark\r\n\r\n"

const answer = "HTTP/1.1 200 OK\r\nDate: Fri, 28 Nov 2025 21:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\n" +
	"Content-Length: 612\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n"

func TestReadingHeadsAllocatesNothing(t *testing.T) {
	var q Request
	var a Response
	in, back := []byte(browsers), []byte(answer)
	if n := testing.AllocsPerRun(100, func() {
		q.Reset()
		a.Reset()
		if size, err := q.Parse(in); size != len(in) || err != nil {
			t.Fatal(size, err)
		}
		if size, err := a.Parse(back); size != len(back) || err != nil {
			t.Fatal(size, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReadingHeads(b *testing.B) {
	var q Request
	var a Response
	in, back := []byte(browsers), []byte(answer)
	b.ReportAllocs()
	for b.Loop() {
		q.Reset()
		a.Reset()
		if _, err := q.Parse(in); err != nil {
			b.Fatal(err)
		}
		if _, err := a.Parse(back); err != nil {
			b.Fatal(err)
		}
	}
}
