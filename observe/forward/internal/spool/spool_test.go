package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func open(t *testing.T, dir string, limit int64) *Queue {
	t.Helper()
	q, err := Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func records(from, n, size int) [][]byte {
	var all [][]byte
	for i := range n {
		all = append(all, fmt.Appendf(nil, "%08d%s", from+i, strings.Repeat("x", size)))
	}
	return all
}

func add(t *testing.T, q *Queue, records [][]byte) {
	t.Helper()
	if n, err := q.Append(records); err != nil || n != len(records) {
		t.Fatalf("appended %d of %d, %v", n, len(records), err)
	}
}

// drain reads and commits everything, and returns the numbers in the records.
func drain(t *testing.T, q *Queue) (numbers []int) {
	t.Helper()
	for {
		b := q.Read(1000, 1<<20)
		if len(b.Records) == 0 {
			return numbers
		}
		for _, r := range b.Records {
			var n int
			if _, err := fmt.Sscanf(string(r[:8]), "%d", &n); err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		if err := q.Commit(b, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func span(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func TestRecordsComeOutInOrderAcrossSegments(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 1<<16)
	add(t, q, records(0, 300, 100))
	if s := q.Stats(); s.Lines != 300 || s.Bytes != 300*116 {
		t.Errorf("%+v, want 300 lines of 116 bytes", s)
	}
	if got := drain(t, q); !slices.Equal(got, span(0, 300)) {
		t.Fatalf("got %d records, not 0 to 299 in order", len(got))
	}
	if s := q.Stats(); s != (Stats{Sent: 300}) {
		t.Errorf("%+v, want 300 sent and nothing else", s)
	}
	segments, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	if len(segments) != 1 {
		t.Errorf("%d segments are left of an empty queue, want the one that grows", len(segments))
	}
}

func TestAnUncommittedBatchComesAgainAfterAReopening(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 1<<20)
	id := q.ID()
	add(t, q, records(0, 50, 10))
	b := q.Read(20, 1<<20)
	if err := q.Commit(b, 5); err != nil {
		t.Fatal(err)
	}
	q.Read(20, 1<<20)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = open(t, dir, 1<<20)
	if q.ID() != id {
		t.Errorf("the queue's name changes from %s to %s", id, q.ID())
	}
	if s := q.Stats(); s.Lines != 30 || s.Sent != 15 || s.Lost != 5 {
		t.Errorf("%+v, want 30 lines, 15 sent, 5 lost", s)
	}
	add(t, q, records(50, 10, 10))
	if got := drain(t, q); !slices.Equal(got, span(20, 60)) {
		t.Errorf("got %v, want 20 to 59", got)
	}
}

func TestAFullQueueDropsTheOldestAndCountsThem(t *testing.T) {
	const limit = 1 << 14
	dir := t.TempDir()
	q := open(t, dir, limit)
	var inFlight Batch
	for i := range 40 {
		add(t, q, records(i*10, 10, 92))
		if i == 0 {
			inFlight = q.Read(10, 1<<20)
		}
	}
	var size int64
	segments, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, s := range segments {
		st, err := os.Stat(s)
		if err != nil {
			t.Fatal(err)
		}
		size += st.Size()
	}
	if size > limit {
		t.Errorf("%d bytes on disk, the limit is %d", size, limit)
	}
	before := q.Stats()
	if err := q.Commit(inFlight, 0); err != nil {
		t.Fatal(err)
	}
	got := drain(t, q)
	if first := 400 - len(got); !slices.Equal(got, span(first, 400)) || first == 0 {
		t.Fatalf("got %v, want the newest", got)
	}
	after := q.Stats()
	if before.Lost != after.Lost || after.Lost != int64(390-len(got)) || after.Sent != int64(10+len(got)) {
		t.Errorf("before reading %+v, after %+v, with %d read: lost isn't what is missing", before, after, len(got))
	}
}

func TestATornTailIsNoRecord(t *testing.T) {
	for cut := int64(1); cut < 40; cut += 3 {
		dir := t.TempDir()
		q := open(t, dir, 1<<20)
		add(t, q, records(0, 3, 12))
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		path := q.dir.path(0)
		if err := os.Truncate(path, 3*28-cut); err != nil {
			t.Fatal(err)
		}
		q = open(t, dir, 1<<20)
		add(t, q, records(100, 1, 12))
		whole := int((3*28 - cut) / 28)
		if got := drain(t, q); !slices.Equal(got, append(span(0, whole), 100)) {
			t.Errorf("%d bytes cut: got %v", cut, got)
		}
		if s := q.Stats(); s.Lost != 0 {
			t.Errorf("%d bytes cut: %d count as lost", cut, s.Lost)
		}
	}
}

func TestDamageCostsTheRestOfItsSegmentOnly(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 1<<14) // segments of 4 kB
	add(t, q, records(0, 100, 92))
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(q.dir.path(0))
	if err != nil {
		t.Fatal(err)
	}
	b[5*108+50] ^= 1
	if err := os.WriteFile(q.dir.path(0), b, 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, dir, 1<<14)
	next := int(q.segments[1].first)
	if got := drain(t, q); !slices.Equal(got, append(span(0, 5), span(next, 100)...)) {
		t.Errorf("got %v, want all but 5 to %d", got, next-1)
	}
	if s := q.Stats(); s.Lost != int64(next-5) {
		t.Errorf("%d lost, want %d", s.Lost, next-5)
	}
}

func TestADamagedPositionIsSetAside(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 1<<20)
	add(t, q, records(0, 10, 10))
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(q.dir.statePath(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, dir, 1<<20)
	if got := drain(t, q); !slices.Equal(got, span(0, 10)) {
		t.Errorf("got %v, want all", got)
	}
	if _, err := os.Stat(q.dir.statePath() + ".damaged"); err != nil {
		t.Error(err)
	}
}

func TestLostSegmentsDontRepeatNumbers(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 1<<20)
	add(t, q, records(0, 10, 10))
	drain(t, q)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(q.dir.path(0)); err != nil { // as a power cut before a sync
		t.Fatal(err)
	}
	q = open(t, dir, 1<<20)
	add(t, q, records(10, 1, 10))
	if b := q.Read(1, 100); b.First != 10 || len(b.Records) != 1 {
		t.Errorf("the next record has number %d, want 10", b.First)
	}
}
