package metrics_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/parttest"
	"rhumb/observe"
	"rhumb/observe/metrics"
)

var allParts = map[string]func() error{
	"write": write, "full disk": fullDisk, "full at opening": fullAtOpening, "failing disk": failingDisk,
}

// first is the time of the first sample that write adds: it is the same in each round.
var first = time.Now().Truncate(time.Hour).Add(-20 * time.Hour)

// write adds a sample of each of 50 series at each second from first on, until it is killed, and compacts as often as
// it can. It prints the number of times.
func write() error {
	s, err := metrics.Open(metrics.Options{Dir: "store", Log: discard})
	if err != nil {
		return err
	}
	sec, err := strconv.ParseInt(os.Getenv("RHUMB_METRICS_FIRST"), 10, 64)
	if err != nil {
		return err
	}
	all := make([]observe.Sample, 50)
	for i := range all {
		all[i].Series = series("up", "n", strconv.Itoa(i))
	}
	n := 0
	if list, err := s.Query(context.Background(), rhumb.MetricQuery{Expr: "max(max_over_time(up[30h]))"}); err != nil {
		return err
	} else if len(list) > 0 {
		n = int(list[0].Points[0].Value)
	}
	go func() {
		for {
			if err := s.Compact(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, "compact:", err)
				os.Exit(1)
			}
		}
	}()
	for {
		n++
		for i := range all {
			all[i].Value = float64(n)
		}
		if err := s.Add(context.Background(), time.Unix(sec+int64(n), 0), all); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestWhatWasAddedSurvivesKilling(t *testing.T) {
	dir := t.TempDir()
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		c := parttest.Command(t, "write", dir)
		c.Env = append(c.Env, fmt.Sprint("RHUMB_METRICS_FIRST=", first.Unix()))
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		added := 0
		for lines := bufio.NewScanner(out); added < 8000*(round+1)+137*round && lines.Scan(); {
			added, _ = strconv.Atoi(lines.Text())
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if added == 0 {
			t.Fatal("the process has added nothing")
		}
		s := open(t, metrics.Options{Dir: filepath.Join(dir, "store")})
		q := rhumb.MetricQuery{Expr: "sum(count_over_time(up[30h]))"}
		list, err := s.Query(t.Context(), q)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if n := int(list[0].Points[0].Value); n < 50*added {
			t.Errorf("round %d: %d samples are left of at least %d", round, n, 50*added)
		}
		closeStore(t, s)
	}
	blocks, err := filepath.Glob(filepath.Join(dir, "store", "01*"))
	if err != nil || len(blocks) == 0 {
		t.Error("no block was written: ", err)
	}
}

// perSeries is how many samples addHour adds to each series: more than the library keeps in memory.
const perSeries = 6000

// wide is to how many series it adds them.
const wide = 100

// addHour adds a sample a second to each of some series. The last one is at the time at.
func addHour(s *metrics.Store, at time.Time) error {
	all := make([]observe.Sample, wide)
	for i := range all {
		all[i].Series = series("up", "n", strconv.Itoa(i))
	}
	for n := range perSeries {
		for i := range all {
			all[i].Value = float64(i * n)
		}
		if err := s.Add(context.Background(), at.Add(time.Duration(n-perSeries+1)*time.Second), all); err != nil {
			return err
		}
	}
	return nil
}

// count returns how many samples there are of up.
func count(s *metrics.Store) (int, error) {
	list, err := s.Query(context.Background(), rhumb.MetricQuery{Expr: "sum(count_over_time(up[30h]))"})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return int(list[0].Points[0].Value), nil
}

// filled returns a folder with a store that has blocks and newer samples, and how many samples it has.
func filled(t *testing.T) (dir string, samples int) {
	t.Helper()
	if testing.Short() {
		t.Skip("writes 1.8 million samples, and -short leaves that out")
	}
	dir = t.TempDir()
	s := open(t, metrics.Options{Dir: dir})
	now := time.Now()
	for _, before := range []time.Duration{5 * time.Hour, 3 * time.Hour, time.Minute} {
		if err := addHour(s, now.Add(-before)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	samples, err := count(s)
	if err != nil || samples != 3*wide*perSeries {
		t.Fatal(samples, err)
	}
	closeStore(t, s)
	return dir, samples
}

// copied returns a copy of a folder.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// blocks returns the folders of blocks, oldest first.
func blocks(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "01*"))
	if err != nil || len(all) < 3 {
		t.Fatal(all, err)
	}
	return all
}

// spoil changes bytes of a file, from a place on.
func spoil(t *testing.T, path string, from int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 64 {
		b[from+i] ^= 0x55
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsDamagedIsSetAsideAndTheRestIsRead(t *testing.T) {
	whole, samples := filled(t)
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		log    string
		left   float64 // the share of samples that must be readable
		aside  string
		loses  bool // some are missing, or else the test has damaged nothing that is read
	}{
		{"a block without its index", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(blocks(t, dir)[1], "index"), 100); err != nil {
				t.Fatal(err)
			}
		}, "setting it aside", 0.5, "-01", true},
		{"a block whose description can't be read", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(blocks(t, dir)[1], "meta.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "setting it aside", 0.5, "-01", true},
		{"a damaged chunk", func(t *testing.T, dir string) {
			spoil(t, filepath.Join(blocks(t, dir)[1], "chunks", "000001"), 5000)
		}, "answering without them", 0.99, "", true},
		{"a damaged place in the log", func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "wal", "0*"))
			if err != nil || len(all) < 3 {
				t.Fatal(all, err)
			}
			spoil(t, all[len(all)-3], 100_000)
			if err := os.RemoveAll(filepath.Join(dir, "chunks_head")); err != nil {
				t.Fatal(err)
			}
		}, "setting a copy aside", 0.6, "-wal-", false},
		{"a damaged checkpoint", func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "wal", "checkpoint.*", "0*"))
			if err != nil || len(all) == 0 {
				t.Fatal(all, err)
			}
			spoil(t, all[0], 700)
		}, "setting a copy aside", 0.6, "-checkpoint.", true},
		{"damaged head chunks", func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "chunks_head", "0*"))
			if err != nil || len(all) == 0 {
				t.Fatal(all, err)
			}
			spoil(t, all[0], 100_000)
		}, "", 1, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copied(t, whole)
			c.damage(t, dir)
			var log logged
			s := open(t, metrics.Options{Dir: dir, Log: log.logger()})
			n, err := count(s)
			t.Logf("%.3f of the samples are left", float64(n)/float64(samples))
			if err != nil || float64(n) < c.left*float64(samples) || n > samples || c.loses && n == samples {
				t.Errorf("%d of %d samples are left: %v", n, samples, err)
			}
			if !log.has(c.log) {
				t.Errorf("the log is %s, want %q", log.b.String(), c.log)
			}
			aside, _ := filepath.Glob(filepath.Join(dir, "damaged", "*"+c.aside+"*"))
			if (len(aside) == 1) != (c.aside != "") {
				t.Errorf("set aside: %q", aside)
			}
			if err := s.Add(t.Context(), time.Now(), []observe.Sample{{Series: series("up"), Value: 1}}); err != nil {
				t.Error(err)
			}
			closeStore(t, s)
			closeStore(t, open(t, metrics.Options{Dir: dir, Log: log.logger()}))
		})
	}
}

func TestAFileThatBecomesShorterKillsNoQuery(t *testing.T) {
	dir, samples := filled(t)
	var log logged
	s := open(t, metrics.Options{Dir: dir, Log: log.logger()})
	// Reading what is mapped behind the end of a file is the fault that a failing disk causes.
	for _, b := range blocks(t, dir)[:2] {
		if err := os.Truncate(filepath.Join(b, "chunks", "000001"), 0); err != nil {
			t.Fatal(err)
		}
	}
	n, err := count(s)
	if err != nil || n == 0 || n >= samples || !log.has("answering without them") {
		t.Errorf("%d of %d samples are left: %v; %s", n, samples, err, log.b.String())
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Log("compaction: ", err)
	}
	if err := os.Truncate(filepath.Join(blocks(t, dir)[2], "index"), 0); err != nil {
		t.Fatal(err)
	}
	if n, err = count(s); err != nil || n == 0 {
		t.Errorf("%d of %d samples are left: %v", n, samples, err)
	}
	closeStore(t, s)
}
