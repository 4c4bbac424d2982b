package metrics

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

const maxRecord = 1 << 16

// segment returns a segment with records of many sizes, and the records.
func segment(t testing.TB, r *rand.Rand, kind compression.Type) (b []byte, recs [][]byte) {
	t.Helper()
	dir := t.TempDir()
	w, err := wlog.NewSize(nil, nil, dir, maxSegment, kind)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		rec := fmt.Appendf(nil, "%d ", n)
		for size := r.IntN(maxRecord >> r.IntN(16)); len(rec) < size; {
			rec = fmt.Appendf(rec, "%x", r.Uint64()>>r.IntN(60))
		}
		recs = append(recs, rec)
	}
	if err := w.Log(recs...); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(wlog.SegmentName(dir, 0)); err != nil {
		t.Fatal(err)
	}
	return b, recs
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	for _, kind := range []compression.Type{compression.None, compression.Snappy, compression.Zstd} {
		b, want := segment(t, rand.New(rand.NewPCG(seed, 1)), kind)
		n := 0
		for rec := range records(b) {
			if n >= len(want) || !bytes.Equal(rec, want[n]) {
				t.Fatalf("%s: record %d differs", kind, n)
			}
			n++
		}
		if n != len(want) {
			t.Errorf("%s: %d records, want %d", kind, n, len(want))
		}
	}
}

func TestADamagedPlaceCostsFewRecords(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	b, want := segment(t, r, compression.Snappy)
	written, total := map[string]bool{}, 0
	for _, rec := range want {
		written[string(rec)] = true
		total += len(rec)
	}
	for range 50 {
		at, by := r.IntN(len(b)), byte(1+r.IntN(255))
		b[at] ^= by
		size := 0
		for rec := range records(b) {
			if !written[string(rec)] {
				t.Fatalf("a record that was never written, with a change at %d", at)
			}
			size += len(rec)
		}
		b[at] ^= by
		// What is left of a page, and two records that reach into it from others. In a page is more than its size: it
		// is compressed.
		if most := 4*pageSize + 2*maxRecord; total-size > most {
			t.Errorf("%d of %d bytes are left, with a change at %d", size, total, at)
		}
	}
}

func FuzzRecords(f *testing.F) {
	b, _ := segment(f, rand.New(rand.NewPCG(1, 1)), compression.Snappy)
	f.Add(b)
	f.Add(b[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for rec := range records(b) {
			n += len(rec)
		}
		_ = n // it doesn't panic, and ends
	})
}
