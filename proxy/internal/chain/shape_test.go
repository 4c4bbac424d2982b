package chain

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"rhumb"
)

func TestOnlyCompressibleAnswersAreCompressed(t *testing.T) {
	c := chained(t, rhumb.RouteOptions{Compress: true}, nil)
	for _, x := range []struct {
		what   string
		change func(*Head)
		coding Coding
		vary   bool
	}{
		{"a page", func(*Head) {}, "zstd", true},
		{"JSON", func(h *Head) { h.Type = "application/problem+json; charset=utf-8" }, "zstd", true},
		{"unknown length", func(h *Head) { h.Length = -1 }, "zstd", true},
		{"an error", func(h *Head) { h.Status = 404 }, "zstd", true},
		{"gzip only", func(h *Head) { h.Accepts = "gzip, deflate, br" }, "gzip", true},
		{"gzip preferred", func(h *Head) { h.Accepts = "zstd;q=0.5, gzip;q=0.8" }, "gzip", true},
		{"zstd refused", func(h *Head) { h.Accepts = "zstd;q=0, GZIP" }, "gzip", true},
		{"nothing accepted", func(h *Head) { h.Accepts = "" }, "", true},
		{"nonsense accepted", func(h *Head) { h.Accepts = "gzip;q=x, zstd;q=2, zstd;q=nan,,;" }, "", true},
		{"a range is asked for", func(h *Head) { h.Ranged = true }, "", true},
		{"HEAD", func(h *Head) { h.Method = "HEAD" }, "", true},
		{"Vary is there", func(h *Head) { h.Vary = "Cookie, accept-encoding" }, "zstd", false},
		{"Vary *", func(h *Head) { h.Vary = "*" }, "zstd", false},
		{"compressed already", func(h *Head) { h.Encoding = "br" }, "", false},
		{"a picture", func(h *Head) { h.Type = "image/png" }, "", false},
		{"events", func(h *Head) { h.Type = "text/event-stream" }, "", false},
		{"gRPC", func(h *Head) { h.Type = "application/grpc+json" }, "", false},
		{"no type", func(h *Head) { h.Type = "" }, "", false},
		{"a part", func(h *Head) { h.Status = 206 }, "", false},
		{"no body", func(h *Head) { h.Status = 204 }, "", false},
		{"not modified", func(h *Head) { h.Status = 304 }, "", false},
		{"little", func(h *Head) { h.Length = 100 }, "", false},
		{"no-transform", func(h *Head) { h.CacheControl = "public, No-Transform" }, "", false},
	} {
		h := Head{Method: "GET", Accepts: "gzip, zstd", Status: 200, Length: 5000, Type: "text/html"}
		x.change(&h)
		s := c.Shape(&h)
		if s.Coding != x.coding || (len(s.Added) == 1) != x.vary {
			t.Errorf("%s: %q, %v", x.what, s.Coding, s.Added)
		}
	}
}

func TestACompressedAnswerDescribesItsNewBytes(t *testing.T) {
	c := chained(t, rhumb.RouteOptions{Compress: true}, nil)
	s := c.Shape(&Head{Method: "GET", Accepts: "gzip", Status: 200, Length: -1, Type: "text/css"})
	for field, want := range map[string]string{`ETag: "a"`: `W/"a"`, `etag: W/"a"`: `W/"a"`, "Accept-Ranges: bytes": "",
		"Content-MD5: a": "", "Repr-Digest: a": "", "Content-Type: text/css": "text/css", "Last-Modified: x": "x"} {
		name, value, _ := strings.Cut(field, ": ")
		if got, stays := s.Field(name, value); got != want || stays != (want != "") {
			t.Errorf("%s: %q", field, got)
		}
	}
	s.Same()
	if got, stays := s.Field("ETag", `"a"`); got != `"a"` || !stays {
		t.Errorf("as it came: %q", got)
	}
}

func TestChangedFieldsOfAnAnswer(t *testing.T) {
	c := chained(t, rhumb.RouteOptions{Response: rhumb.HeaderChanges{Remove: []string{"Server"},
		Set: []rhumb.HeaderField{{Name: "X-A", Value: "1"}}, Add: []rhumb.HeaderField{{Name: "X-B", Value: "2"}}}}, nil)
	s := c.Shape(&Head{Status: 200})
	for name, want := range map[string]bool{"server": false, "SERVER": false, "x-a": false, "X_A": false, "X-B": true,
		"Serve": true} {
		if _, stays := s.Field(name, "v"); stays != want {
			t.Errorf("%s stays: %t", name, stays)
		}
	}
	if len(s.Added) != 2 {
		t.Errorf("added: %v", s.Added)
	}
}

func TestACompressedBodyIsTheSame(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	var of Encoders
	for i := range 60 {
		body := make([]byte, random.IntN(300<<10))
		for j := range body {
			body[j] = byte('a' + random.IntN(1+random.IntN(26)))
		}
		coding := []Coding{gzipped, zstded}[i%2]
		enc := of.Lend(coding)
		src := &parts{body: body, size: 1 + random.IntN(64<<10)}
		b := enc.Body(src, random.IntN(2) == 0)
		packed, err := io.ReadAll(b)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := b.Close(); err != nil || !src.closed {
				t.Fatalf("the source isn't closed: %v", err)
			}
		}
		if got := unpacked(t, coding, packed); !bytes.Equal(got, body) {
			t.Fatalf("seed %d: %s made %d bytes of %d", seed, coding, len(got), len(body))
		}
	}
	if n := of.lent.Load(); n != 0 {
		t.Errorf("%d encoders are still lent", n)
	}
}

func unpacked(t *testing.T, coding Coding, packed []byte) []byte {
	t.Helper()
	var r io.Reader
	var err error
	if coding == gzipped {
		r, err = gzip.NewReader(bytes.NewReader(packed))
	} else {
		r, err = zstd.NewReader(bytes.NewReader(packed))
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parts is a body that comes in parts of a size.
type parts struct {
	body   []byte
	size   int
	fail   error // instead of the end
	closed bool
}

func (p *parts) Read(b []byte) (int, error) {
	if len(p.body) == 0 {
		if p.fail != nil {
			return 0, p.fail
		}
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.body)
	p.body = p.body[n:]
	return n, nil
}

func (p *parts) Close() error { p.closed = true; return nil }

func TestABodyThatBreaksOffDoesNotEndWell(t *testing.T) {
	var of Encoders
	broken := errors.New("broken off")
	for _, coding := range []Coding{gzipped, zstded} {
		b := of.Lend(coding).Body(&parts{body: make([]byte, 5000), size: 1000, fail: broken}, false)
		if _, err := io.ReadAll(b); !errors.Is(err, broken) {
			t.Errorf("%s: %v", coding, err)
		}
		b.Close()
	}
}

func TestEncodersAreLentOutToSoMany(t *testing.T) {
	var of Encoders
	var all []*Encoder
	for range maxEncoders {
		all = append(all, of.Lend(gzipped))
	}
	if of.Lend(zstded) != nil {
		t.Error("there is one more")
	}
	for _, e := range all {
		e.Return()
	}
	if e := of.Lend(zstded); e == nil {
		t.Error("none has come back")
	}
}

func TestFlushedDataCanBeReadAtOnce(t *testing.T) {
	var of Encoders
	for _, coding := range []Coding{gzipped, zstded} {
		e := of.Lend(coding)
		out, err := e.Encode([]byte("first line\n"), true, false)
		if err != nil {
			t.Fatal(err)
		}
		r, w := io.Pipe()
		go func() { _, _ = w.Write(bytes.Clone(out)) }()
		var plain io.Reader
		if coding == gzipped {
			plain, err = gzip.NewReader(r)
		} else {
			plain, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		}
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 11)
		if _, err := io.ReadFull(plain, line); err != nil || string(line) != "first line\n" {
			t.Errorf("%s: %q, %v", coding, line, err)
		}
		r.Close()
		e.Return()
	}
}
