package inbound

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// raw returns a frame of HTTP/2.
func raw(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16),
		byte(stream >> 8), byte(stream)}) + payload
}

// each joins what make returns for the first n streams of a client.
func each(n int, make func(stream uint32) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(make(uint32(2*i + 1)))
	}
	return b.String()
}

func TestIdleFramesOfAClientAreCounted(t *testing.T) {
	const end = 1                                                                  // END_STREAM
	get := func(stream uint32) string { return raw(1, 4|end, stream, "\x82\x84") } // GET /
	reset := func(stream uint32) string { return raw(3, 0, stream, "code") }
	begin := raw(1, 4, 1, "\x83\x84") // POST /
	for _, c := range []struct {
		name string
		sent string
		got  int64 // bytes that the client was sent
		most int64 // excess; negative: any below 1
	}{
		{"requests", each(10_000, get), 0, -1},
		{"a page of 100 that is left", each(100, get) + each(100, reset), 0, -1},
		{"each request is reset", each(300, func(s uint32) string { return get(s) + reset(s) }), 0, 300 - 50 - 150},
		{"each second request is reset", each(10_000, func(s uint32) string {
			return get(s) + strings.Repeat(reset(s), int(s/2%2))
		}), 0, -1},
		{"a body in 10,000 parts", begin + strings.Repeat(raw(0, 0, 1, "x"), 10_000) + raw(0, end, 1, ""), 0, -1},
		{"a body of empty parts", begin + strings.Repeat(raw(0, 0, 1, ""), 1000), 0, 1000 - 500 - 10},
		{"a long download", get(1) + strings.Repeat(raw(8, 0, 1, "size"), 10_000), 32 << 20, -1},
		{"windows for nothing", get(1) + strings.Repeat(raw(8, 0, 1, "size"), 10_000), 0, 10_000 - 500 - 10},
		{"pings", strings.Repeat(raw(6, 0, 0, "rhumb---"), 700), 0, 200},
		{"trailers over and over", get(1) + strings.Repeat(begin, 700), 0, 700 - 500 - 10},
		{"continuations", raw(1, 0, 1, "\x82\x84") + strings.Repeat(raw(9, 0, 1, ""), 700), 0, 700 - 500 - 10},
		{"settings", strings.Repeat(raw(4, 0, 0, ""), 700), 0, 200},
		{"priorities", strings.Repeat(raw(2, 0, 3, "after"), 700), 0, 200},
		{"an unknown kind", strings.Repeat(raw(0x7f, 0xff, 5, "words"), 700), 0, 200},
		{"a body of padding", begin + strings.Repeat(raw(0, 8, 1, "\x05     "), 1000), 0, 1000 - 500 - 10},
		{"a padded body", begin + strings.Repeat(raw(0, 8, 1, "\x04x    "), 10_000), 0, -1},
		{"requests that the server resets", each(300, func(s uint32) string {
			return raw(1, 4|end, s, "\x00\x07upgrade\x01x")
		}), 0, 300 - 50 - 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				whole, _ := sifted(t, strings.NewReader(c.sent))
				seed := rand.Uint64()
				torn, _ := sifted(t, &tearing{strings.NewReader(c.sent), rand.New(rand.NewPCG(seed, 0))})
				if whole.frames != torn.frames {
					t.Errorf("seed %d: whole %+v, torn %+v", seed, whole.frames, torn.frames)
				}
				if n := max(whole.excess(c.got), -1); c.most < 0 && n > 0 || c.most >= 0 && n != c.most {
					t.Errorf("excess %d, want %d", n, c.most)
				}
			})
		})
	}
}

// sifted reads all that a client sends through a sieve. It returns the sieve, and what the server reads.
func sifted(t testing.TB, src io.Reader) (*sieve, []byte) {
	t.Helper()
	s := &sieve{max: 64 << 10, frames: frames{since: time.Now()}}
	out, err := io.ReadAll(readerFunc(func(p []byte) (int, error) { return s.read(src, p) }))
	if err != nil {
		t.Fatal(err)
	}
	return s, out
}

// tearing reads a few bytes at a time.
type tearing struct {
	io.Reader
	random *rand.Rand
}

func (r *tearing) Read(p []byte) (int, error) {
	return r.Reader.Read(p[:min(len(p), 1+r.random.IntN(20))])
}

func TestPingsWithPausesAreNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ping := frames{since: time.Now()}, frameOf([]byte(raw(6, 0, 0, "rhumb---")))
		for i := range 20_000 {
			f.note(ping, ping.length)
			if n := f.excess(0); n > 0 {
				t.Fatalf("ping %d: excess %d", i, n)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}
