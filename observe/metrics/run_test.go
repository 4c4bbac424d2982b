package metrics_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"rhumb/observe/metrics"
)

func TestRunWritesBlocksUntilItEnds(t *testing.T) {
	dir := t.TempDir()
	written := func() int {
		all, err := filepath.Glob(filepath.Join(dir, "0*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	synctest.Test(t, func(t *testing.T) {
		s := open(t, metrics.Options{Dir: dir})
		if err := addHour(s, time.Now()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(59 * time.Second)
		if n := written(); n != 0 {
			t.Errorf("%d blocks at once", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if written() == 0 {
			t.Error("no block was written")
		}
		if n, err := count(s); err != nil || n != wide*perSeries {
			t.Errorf("%d samples are left: %v", n, err)
		}
		closeStore(t, s)
	})
}

func TestWhatWasSetAsideLongAgoIsRemoved(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "damaged", "19990101T000000.000000000-01ABC")
	young := filepath.Join(dir, "damaged", "20000101T000000.000000000-wal-00000001")
	for _, d := range []string{old, young} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) { // its clock begins in the year 2000
		s := open(t, metrics.Options{Dir: dir})
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
	})
	if _, err := os.Stat(old); err == nil {
		t.Error("what is older than all samples is kept")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}
