package metrics_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/metrics"
)

// machine is the series of a machine with 50 replicas, about 1,500, and their values from measurement to measurement.
type machine struct {
	samples []observe.Sample
	r       *rand.Rand
}

func newMachine(seed uint64) *machine {
	m := &machine{r: rand.New(rand.NewPCG(seed, 1))}
	for n := range 1500 {
		replica, metric := n/30, n%30
		name := fmt.Sprintf("rhumb_replica_%d_bytes", metric)
		if metric%3 > 0 {
			name = fmt.Sprintf("rhumb_replica_%d_total", metric)
		}
		m.samples = append(m.samples, observe.Sample{Series: series(name, "release", "7", "replica",
			"shop-web."+strconv.Itoa(replica), "service", "web"+strconv.Itoa(replica%10), "stack", "shop")})
	}
	return m
}

// next moves the values on: two in three are counters, half of which stand still.
func (m *machine) next() []observe.Sample {
	for i := range m.samples {
		switch s := &m.samples[i]; {
		case i%3 == 0:
			s.Value = float64(100<<20 + m.r.IntN(1<<20)*4096)
		case i%3 == 1:
			s.Value += float64(m.r.IntN(1000))
		}
	}
	return m.samples
}

func BenchmarkAdd1500Samples(b *testing.B) {
	s, err := metrics.Open(metrics.Options{Dir: b.TempDir(), Log: discard})
	if err != nil {
		b.Fatal(err)
	}
	m, at := newMachine(1), time.Now().Add(-1000*time.Hour)
	for b.Loop() {
		at = at.Add(5 * time.Second)
		if err := s.Add(b.Context(), at, m.next()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// rss returns how much memory this process has, in MB, without the pages of files: the kernel can drop these.
func rss() int {
	b, _ := os.ReadFile("/proc/self/status")
	_, after, _ := bytes.Cut(b, []byte("RssAnon:"))
	kb, _, _ := strings.Cut(strings.TrimSpace(string(after)), " ")
	n, _ := strconv.Atoi(kb)
	return n >> 10
}

// onDisk returns how many bytes a folder takes, in MB.
func onDisk(dir string) int {
	n := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				n += i.Size()
			}
		}
		return nil
	})
	return int(n >> 20)
}

func TestFifteenDaysOf1500SeriesAreAnswered(t *testing.T) {
	if os.Getenv("RHUMB_TEST_LONG") == "" {
		t.Skip("takes minutes; set RHUMB_TEST_LONG=1")
	}
	dir := t.TempDir()
	s := open(t, metrics.Options{Dir: dir})
	t.Logf("an empty store: %d MB", rss())
	m, now := newMachine(1), time.Now()
	var adding, compacting time.Duration
	n := 0
	// Every 5 s within the last day, and every 30 s before, which takes a fourth of the time.
	for at := now.Add(-15 * 24 * time.Hour); at.Before(now); n++ {
		all := m.next()
		begin := time.Now()
		if err := s.Add(t.Context(), at, all); err != nil {
			t.Fatal(err)
		}
		adding += time.Since(begin)
		if n%120 == 0 {
			begin = time.Now()
			if err := s.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
			compacting += time.Since(begin)
		}
		if at = at.Add(30 * time.Second); now.Sub(at) < 24*time.Hour {
			at = at.Add(-25 * time.Second)
		}
	}
	t.Logf("%d M samples: %v to add, %v to compact, %d MB on disk, %d MB of memory", n*1500/1e6, adding, compacting,
		onDisk(dir), rss())
	closeStore(t, s)
	debug.FreeOSMemory()
	t.Logf("closed: %d MB of memory", rss())
	begin := time.Now()
	s = open(t, metrics.Options{Dir: dir})
	defer closeStore(t, s)
	t.Logf("opened in %v: %d MB of memory", time.Since(begin), rss())
	for _, q := range []struct {
		expr  string
		since time.Duration
	}{
		{"rhumb_replica_0_bytes", 0},
		{"sum by (service) (rate(rhumb_replica_1_total[1m]))", time.Hour},
		{"sum by (service) (rate(rhumb_replica_1_total[1m]))", 24 * time.Hour},
		{"sum by (service) (rate(rhumb_replica_1_total[5m]))", 15 * 24 * time.Hour},
		{`rhumb_replica_0_bytes{replica="shop-web.7"}`, 15 * 24 * time.Hour},
		{`sum({__name__=~"rhumb_replica_.+"})`, 24 * time.Hour},
		{"max_over_time(rhumb_replica_0_bytes[15d])", 0},
		{`count({__name__=~".+"})`, 0},
	} {
		mq := rhumb.MetricQuery{Expr: q.expr, Until: now.Add(-10 * time.Second)}
		if q.since > 0 {
			mq.Since = mq.Until.Add(-q.since)
		}
		begin := time.Now()
		list, err := s.Query(t.Context(), mq)
		t.Logf("%8v %3d series %v of %v (%d MB): %v", time.Since(begin).Round(10*time.Microsecond), len(list), q.expr,
			q.since, rss(), err)
		if err != nil || len(list) == 0 {
			t.Error(q.expr)
		}
	}
	debug.FreeOSMemory()
	t.Logf("idle: %d MB of memory", rss())
}
