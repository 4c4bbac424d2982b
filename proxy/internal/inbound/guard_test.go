package inbound

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
)

// What the guard lets pass has one reading: the server sees as many requests in it as the guard, and the pieces in
// which it arrives make no difference.
func FuzzTheGuardAndTheServerAgree(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: a\r\n\r\nraw",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		g, whole := guarded(t, bytes.NewReader(in))
		_, torn := guarded(t, iotest.OneByteReader(bytes.NewReader(in)))
		if g.refused.Load() == 0 && !bytes.Equal(whole, in) {
			t.Fatalf("nothing was refused, but it was changed to %q", whole)
		}
		if g.refused.Load() == 0 && !bytes.Equal(whole, torn) {
			t.Fatalf("whole: %q\ntorn: %q", whole, torn)
		}
		if g.state == foreign || g.frame.upgrade {
			return
		}
		n, err := requests(whole)
		if err == nil && g.refused.Load() != 0 {
			t.Fatalf("refused, but the server takes %q", whole)
		}
		if err == nil && n != g.heads || n > g.heads {
			t.Fatalf("the guard saw %d requests, the server %d, %v", g.heads, n, err)
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

// requests counts what the standard library sees.
func requests(b []byte) (n int64, err error) {
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		req, err := http.ReadRequest(r)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n++
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return n, err
		}
	}
}
