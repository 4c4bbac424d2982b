package backend

import (
	"testing"
	"time"

	"rhumb"
)

func TestAnAnswerIsCountedInTheBucketThatItFits(t *testing.T) {
	var c releaseCounters
	if s := c.stats(); s.Buckets != nil {
		t.Errorf("without answers there are buckets: %v", s.Buckets)
	}
	bounds := rhumb.LatencyBuckets
	for _, d := range bounds {
		c.answer(200, d)
		c.answer(200, d+1)
	}
	c.answer(503, 0)
	s := c.stats()
	if len(s.Buckets) != len(bounds)+1 {
		t.Fatalf("%d buckets of %d bounds", len(s.Buckets), len(bounds))
	}
	for i, n := range s.Buckets {
		want := uint64(2)
		if i == len(bounds) {
			want = 1
		}
		if n != want {
			t.Errorf("bucket %d has %d, want %d", i, n, want)
		}
	}
	if n := uint64(2*len(bounds) + 1); s.Served != n || s.Errors != 1 || s.Failed != 0 {
		t.Errorf("the counts are %+v", s)
	}
}

func TestAnAnswerIsCountedWithoutAnAllocation(t *testing.T) {
	m := &Member{release: &releaseCounters{}}
	if n := testing.AllocsPerRun(100, func() {
		m.NoteAnswered(200, time.Millisecond)
		m.Bytes().Sent.Add(1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCount counts one request on all CPUs at once.
func BenchmarkCount(b *testing.B) {
	m := &Member{release: &releaseCounters{}}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.NoteAnswered(200, 3*time.Millisecond)
			m.Bytes().Sent.Add(100)
		}
	})
}
