package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/internal/parttest"
	"rhumb/observe"
	"rhumb/observe/metrics"
)

// fill makes a disk full, but for some bytes.
func fill(left uint64) error {
	var s unix.Statfs_t
	if err := unix.Statfs("disk", &s); err != nil {
		return err
	}
	return os.WriteFile("disk/other", make([]byte, s.Bavail*uint64(s.Bsize)-left), 0o600)
}

func TestAFullDiskTakesNoSamplesAndLosesNone(t *testing.T) { parttest.InMounts(t, "full disk") }

func fullDisk() error {
	if err := parttest.Mount("120m"); err != nil {
		return err
	}
	s, err := metrics.Open(metrics.Options{Dir: "disk/store", Log: discard})
	if err != nil {
		return err
	}
	now := time.Now()
	if err := errors.Join(addHour(s, now.Add(-time.Minute)), fill(0)); err != nil {
		return err
	}
	err = s.Add(context.Background(), now, []observe.Sample{{Series: series("up"), Value: 1}})
	if rhumb.ErrorCode(err) != rhumb.Unavailable || s.Dropped() != 1 ||
		!strings.Contains(err.Error(), "the disk is full") {
		return fmt.Errorf("a sample on a full disk, %d dropped: %w", s.Dropped(), err)
	}
	if err := s.Compact(context.Background()); err == nil {
		return errors.New("there is room for a block")
	}
	if n, err := count(s); err != nil || n != wide*perSeries {
		return fmt.Errorf("%d samples are left: %w", n, err)
	}
	if err := os.Remove("disk/other"); err != nil {
		return err
	}
	if err := s.Compact(context.Background()); err != nil {
		return err
	}
	if err := s.Add(context.Background(), now, []observe.Sample{{Series: series("up"), Value: 1}}); err != nil {
		return err
	}
	if n, err := count(s); err != nil || n != wide*perSeries+1 {
		return fmt.Errorf("%d samples are left: %w", n, err)
	}
	return s.Close()
}

func TestAStoreOpensOnAFullDisk(t *testing.T) { parttest.InMounts(t, "full at opening") }

func fullAtOpening() error {
	if err := parttest.Mount("160m"); err != nil {
		return err
	}
	o := metrics.Options{Dir: "disk/store", Log: discard}
	s, err := metrics.Open(o)
	if err != nil {
		return err
	}
	// It isn't closed: that is a kill. The lock is left behind too, and must not matter to another folder.
	if err := addHour(s, time.Now().Add(-time.Minute)); err != nil {
		return err
	}
	if err := os.CopyFS("disk/copy", os.DirFS("disk/store")); err != nil {
		return err
	}
	if err := fill(0); err != nil {
		return err
	}
	o.Dir = "disk/copy"
	c, err := metrics.Open(o)
	if err != nil {
		return err
	}
	if n, err := count(c); err != nil || n != wide*perSeries {
		return fmt.Errorf("%d samples are left: %w", n, err)
	}
	if err := c.Close(); err != nil {
		return err
	}
	// The reserve is spent. Once more isn't possible, and no data is lost by that.
	if err := errors.Join(os.Remove("disk/other"), fill(0)); err != nil {
		return err
	}
	if _, err := metrics.Open(o); rhumb.ErrorCode(err) != rhumb.Unavailable {
		return fmt.Errorf("opened on a full disk without a reserve: %w", err)
	}
	if err := os.Remove("disk/other"); err != nil {
		return err
	}
	if c, err = metrics.Open(o); err != nil {
		return err
	}
	if n, err := count(c); err != nil || n != wide*perSeries {
		return fmt.Errorf("%d samples are left after another try: %w", n, err)
	}
	return c.Close()
}

// limit bounds the size of all files that this process writes, so that writing fails.
func limit(bytes uint64) error {
	return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY})
}

// failingDisk adds samples to a disk on which some writing fails, and dies. It prints how many were added.
func failingDisk() error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := metrics.Open(metrics.Options{Dir: "store", Log: discard})
	if err != nil {
		return err
	}
	at, added, failed := time.Now().Add(-time.Hour), 0, 0
	all := make([]observe.Sample, 100)
	for i := range all {
		all[i].Series = series("up", "n", strconv.Itoa(i))
	}
	for n := range 3000 {
		if n%1000 == 500 {
			// Each time in another place of the log: before a page's end, or after it.
			if err := limit(uint64(at.UnixNano()) % 40_000); err != nil {
				return err
			}
		}
		if n%1000 == 600 {
			if err := limit(unix.RLIM_INFINITY); err != nil {
				return err
			}
		}
		for i := range all {
			all[i].Value = float64(n*1000+i*i) / 7
		}
		switch err := s.Add(context.Background(), at.Add(time.Duration(n)*time.Second), all); {
		case err == nil:
			added += len(all)
		case rhumb.ErrorCode(err) == rhumb.Unavailable:
			failed++
		default:
			return err
		}
	}
	if n, err := count(s); err != nil || n != added || failed != 300 || s.Dropped() != 300*100 {
		return fmt.Errorf("%d samples are read of %d, %d times failed, %d dropped: %w", n, added, failed, s.Dropped(), err)
	}
	fmt.Println(added)
	return nil
}

func TestADiskOnWhichWritingFailsLosesLittle(t *testing.T) {
	dir := t.TempDir()
	out, err := parttest.Command(t, "failing disk", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	added, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	var log logged
	s := open(t, metrics.Options{Dir: filepath.Join(dir, "store"), Log: log.logger()})
	defer closeStore(t, s)
	n, err := count(s)
	t.Logf("%d of %d samples are left; log: %s", n, added, log.b.String())
	if err != nil || n < added {
		t.Errorf("%d of %d samples are left: %v", n, added, err)
	}
}
