package inbound

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// frame returns a frame of HTTP/2.
func frame(kind, flags byte, stream uint32, payload string) string {
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
	const end = 1 // END_STREAM
	get := func(stream uint32) string { return frame(1, 4|end, stream, "header") }
	reset := func(stream uint32) string { return frame(3, 0, stream, "code") }
	begin := frame(1, 4, 1, "header")
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
		{"a body in 10,000 parts", begin + strings.Repeat(frame(0, 0, 1, "x"), 10_000) + frame(0, end, 1, ""), 0, -1},
		{"a body of empty parts", begin + strings.Repeat(frame(0, 0, 1, ""), 1000), 0, 1000 - 500 - 10},
		{"a long download", get(1) + strings.Repeat(frame(8, 0, 1, "size"), 10_000), 32 << 20, -1},
		{"windows for nothing", get(1) + strings.Repeat(frame(8, 0, 1, "size"), 10_000), 0, 10_000 - 500 - 10},
		{"pings", strings.Repeat(frame(6, 0, 0, "rhumb---"), 700), 0, 200},
		{"trailers over and over", get(1) + strings.Repeat(begin, 700), 0, 700 - 500 - 10},
		{"continuations", frame(1, 0, 1, "header") + strings.Repeat(frame(9, 0, 1, ""), 700), 0, 700 - 500 - 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				whole, torn := frames{since: time.Now()}, frames{since: time.Now()}
				whole.take([]byte(c.sent))
				seed := rand.Uint64()
				random := rand.New(rand.NewPCG(seed, 0))
				for rest := []byte(c.sent); len(rest) > 0; {
					n := min(1+random.IntN(20), len(rest))
					torn.take(rest[:n])
					rest = rest[n:]
				}
				if whole.excess(c.got) != torn.excess(c.got) {
					t.Errorf("seed %d: whole %+v, torn %+v", seed, whole, torn)
				}
				if n := max(whole.excess(c.got), -1); c.most < 0 && n > 0 || c.most >= 0 && n != c.most {
					t.Errorf("excess %d, want %d", n, c.most)
				}
			})
		})
	}
}

func TestPingsWithPausesAreNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := frames{since: time.Now()}
		for i := range 20_000 {
			f.take([]byte(frame(6, 0, 0, "rhumb---")))
			if n := f.excess(0); n > 0 {
				t.Fatalf("ping %d: excess %d", i, n)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}
