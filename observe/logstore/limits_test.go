package logstore_test

import (
	"context"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe/logstore"
)

// used returns how many bytes the files of a folder have.
func used(t testing.TB, dir string) int64 {
	t.Helper()
	var size int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it was removed just now
		}
		if i, err := e.Info(); err == nil && !e.IsDir() {
			size += i.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// lines returns the lines that a query chooses.
func lines(t *testing.T, s *logstore.Store, q rhumb.LogQuery) []rhumb.LogLine {
	t.Helper()
	var all []rhumb.LogLine
	for l, err := range s.Lines(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func TestAFloodCostsOnlyItsOwnStackItsOldestLines(t *testing.T) {
	const size = 4 << 20
	dir := t.TempDir()
	s := reopen(t, dir)
	s.SetLimits("shop", rhumb.LogLimits{Size: size})
	n, slow := 0, 0
	for n < 150_000 { // 15 MB on the disk
		batch := make([]rhumb.LogLine, 0, 1000)
		for range cap(batch) {
			batch = append(batch, numbered(n))
			n++
		}
		other := numbered(slow)
		other.Stack = "blog"
		batch = append(batch, other)
		slow++
		if took, err := s.Append(t.Context(), batch); took != len(batch) || err != nil {
			t.Fatalf("%d lines were taken: %v", took, err)
		}
	}
	check := func() {
		t.Helper()
		kept := lines(t, s, rhumb.LogQuery{Stack: "shop"})
		if len(kept) < 15_000 || numberOf(kept[len(kept)-1]) != n-1 || numberOf(kept[0]) != n-len(kept) {
			t.Fatalf("%d lines from %d to %d are kept, want the last ones of %d", len(kept), numberOf(kept[0]),
				numberOf(kept[len(kept)-1]), n)
		}
		if blog := lines(t, s, rhumb.LogQuery{Stack: "blog"}); len(blog) != slow {
			t.Errorf("%d lines of the other stack, want %d", len(blog), slow)
		}
	}
	check()
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := used(t, filepath.Join(dir, "shop")); got > size*5/4 {
		t.Errorf("the stack has %d bytes on the disk, want about %d", got, size)
	}
	for range 2 { // and after it was opened again
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = reopen(t, dir)
		check()
	}
	s.SetLimits("shop", rhumb.LogLimits{Size: size / 2})
	if got := used(t, filepath.Join(dir, "shop")); got > size*3/4 {
		t.Errorf("the stack has %d bytes on the disk after its size was halved", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLinesThatAreTooOldAreNotKept(t *testing.T) {
	s := open(t, t.TempDir())
	s.SetLimits("shop", rhumb.LogLimits{Keep: 48 * time.Hour})
	for _, age := range []time.Duration{72 * time.Hour, 24 * time.Hour, 0, -time.Hour} {
		l := numbered(int(age / time.Hour))
		l.Time = time.Now().Add(-age)
		if n, err := s.Append(t.Context(), []rhumb.LogLine{l}); n != 1 || err != nil {
			t.Fatalf("%d lines were taken: %v", n, err)
		}
	}
	far := numbered(9)
	far.Time = time.Now().AddDate(200, 0, 0)
	if _, err := s.Append(t.Context(), []rhumb.LogLine{far}); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, s, rhumb.LogQuery{}); len(got) != 3 {
		t.Errorf("got %+v, want three lines", got)
	}
	counts, err := s.LogCounts(t.Context(), rhumb.LogQuery{})
	if err != nil || counts[0].Dropped != 1 {
		t.Errorf("%+v: %v, want one dropped line", counts, err)
	}
	s.SetLimits("shop", rhumb.LogLimits{Keep: 4 * time.Hour}) // only whole days are removed
	if got := lines(t, s, rhumb.LogQuery{}); len(got) != 3 {
		t.Errorf("got %+v, want three lines", got)
	}
}

func TestASlowFollowerIsCutOffAndHoldsUpNothing(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Append(t.Context(), []rhumb.LogLine{numbered(0)}); err != nil {
		t.Fatal(err)
	}
	want, err := 0, error(nil)
	for l, e := range s.Lines(t.Context(), rhumb.LogQuery{LogOptions: rhumb.LogOptions{Follow: true}}) {
		if err = e; err != nil {
			break
		}
		if numberOf(l) != want {
			t.Fatalf("line %d, want %d", numberOf(l), want)
		}
		if want++; want > 1 {
			continue
		}
		for n := 1; n < 200_000; n += 1000 {
			batch := make([]rhumb.LogLine, 0, 1000)
			for i := range cap(batch) {
				batch = append(batch, numbered(n+i))
			}
			if _, err := s.Append(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rhumb.ErrorCode(err) != rhumb.Unavailable || want < 10_000 {
		t.Errorf("after %d lines: %v", want, err)
	}
}

func TestSegmentsCloseWhenNothingUsesThem(t *testing.T) {
	dir := t.TempDir()
	s, err := logstore.Open(dir, time.Millisecond, discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = s.Run(ctx) })
	for n := range 300 {
		if _, err := s.Append(t.Context(), []rhumb.LogLine{numbered(n)}); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, s, rhumb.LogQuery{}); len(got) != n+1 {
			t.Fatalf("%d lines, want %d", len(got), n+1)
		}
	}
	cancel()
	work.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
