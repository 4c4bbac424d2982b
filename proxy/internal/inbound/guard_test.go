package inbound

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/iotest"

	"rhumb/proxy/internal/guardtest"
)

// What the guard lets pass has one reading: the server sees the requests that a strict reader sees in what the client
// sent. The pieces in which it arrives make no difference.
func FuzzTheGuardAndTheServerAgree(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n" +
			"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"PRI * HTTP/2.0\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: a\r\n\r\nraw",
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: a\r\n\r: a\r\n\nraw",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		strict := guardtest.Read(string(in))
		g, out := guarded(t, bytes.NewReader(in))
		h, torn := guarded(t, iotest.OneByteReader(bytes.NewReader(in)))
		refused := g.refused.Load() != 0
		if refused != (h.refused.Load() != 0) || !refused && !bytes.Equal(out, torn) {
			t.Fatalf("whole: %q\ntorn: %q", out, torn)
		}
		if isHTTP2 := bytes.HasPrefix(in, []byte(Preface)); isHTTP2 || g.state == foreign {
			if !isHTTP2 || refused || !bytes.HasPrefix(out, []byte(Preface)) {
				t.Fatalf("read as HTTP/2: %q", out)
			}
			return
		}
		if half := g.state == atPreface; !half && !refused && (strict.Faulty || string(out) != strict.Plain) {
			t.Fatalf("the guard lets %q pass; a strict reader finds %+v", out, strict)
		}
		seen, err := requests(out)
		if n := g.refused.Load(); refused && int64(len(seen)) >= n {
			seen, err = seen[:n-1], io.ErrUnexpectedEOF // the handler knows that the rest is suspect
		}
		if err == nil && refused {
			t.Fatalf("refused, but the server takes %q", out)
		}
		if len(seen) > 0 && seen[0].Method == "PRI" && g.heads == 1 {
			return // half a preface, which the handler refuses
		}
		if len(seen) > len(strict.Requests) || !slices.Equal(seen, strict.Requests[:len(seen)]) {
			t.Fatalf("the server sees %q, a strict reader %q", seen, strict.Requests)
		}
		if err == nil && len(seen) != len(strict.Requests) {
			t.Fatalf("the server sees %q, a strict reader %q", seen, strict.Requests)
		}
	})
}

func guarded(t *testing.T, src io.Reader) (*guard, []byte) {
	t.Helper()
	g := &guard{max: 1 << 20}
	out, err := io.ReadAll(readerFunc(func(p []byte) (int, error) { return g.read(src, p) }))
	if err != nil {
		t.Fatal(err)
	}
	return g, out
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// requests returns what the standard library sees, up to a change of protocol.
func requests(b []byte) (seen []guardtest.Request, err error) {
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		req, err := http.ReadRequest(r)
		if err == io.EOF {
			return seen, nil
		}
		if err != nil {
			return seen, err
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return seen, err
		}
		seen = append(seen, guardtest.Request{Method: req.Method, Target: req.RequestURI, Body: string(body)})
		if req.Header.Get("Upgrade") != "" {
			return seen, nil
		}
	}
}

// twoRequests returns a browser's request and a request with a body in chunks.
func twoRequests() []byte {
	head := "Host: shop.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: text/html,*/*;q=0.8\r\n" +
		"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Cookie: session=0123456789abcdef; theme=dark\r\n"
	return []byte("GET /shop/cart?item=12 HTTP/1.1\r\n" + head + "\r\nPOST /shop/cart HTTP/1.1\r\n" + head +
		"Transfer-Encoding: chunked\r\n\r\n" +
		"3\r\nabc\r\n0\r\n\r\n")
}

func TestTheGuardAllocatesNothing(t *testing.T) {
	in := twoRequests()
	g, src, buf := &guard{max: 64 << 10}, bytes.NewReader(in), make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() {
		src.Reset(in)
		if n, err := g.read(src, buf); n != len(in) || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for two requests", n)
	}
}

func BenchmarkGuard(b *testing.B) {
	in := twoRequests()
	g, src, buf := &guard{max: 64 << 10}, bytes.NewReader(in), make([]byte, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		src.Reset(in)
		if n, err := g.read(src, buf); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
	}
}
