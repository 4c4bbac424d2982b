package metrics_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
	"rhumb/internal/parttest"
	"rhumb/observe"
	"rhumb/observe/metrics"
	"rhumb/observe/observetest"
)

var discard = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) {
	parttest.Play(allParts)
	os.Exit(m.Run())
}

// open opens a store in a folder.
func open(t *testing.T, o metrics.Options) *metrics.Store {
	t.Helper()
	if o.Log == nil {
		o.Log = discard
	}
	s, err := metrics.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh returns a store that is closed at the end of the test.
func fresh(t *testing.T) *metrics.Store {
	s := open(t, metrics.Options{Dir: t.TempDir()})
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t *testing.T, s *metrics.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func series(name string, labels ...string) *observe.Series {
	s := &observe.Series{Name: name}
	for i := 0; i < len(labels); i += 2 {
		s.Labels = append(s.Labels, observe.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

func add(t *testing.T, s *metrics.Store, at time.Time, of *observe.Series, v float64) {
	t.Helper()
	if err := s.Add(t.Context(), at, []observe.Sample{{Series: of, Value: v}}); err != nil {
		t.Fatal(err)
	}
}

// query returns the result of a query as text: one line a series, "{a=b}: 1@0s 2@5s", with times since start.
func query(t *testing.T, s *metrics.Store, q rhumb.MetricQuery, start time.Time) string {
	t.Helper()
	list, err := s.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range list {
		names := make([]string, 0, len(r.Labels))
		for k, v := range r.Labels {
			names = append(names, k+"="+v)
		}
		slices.Sort(names)
		fmt.Fprintf(&b, "{%s}:", strings.Join(names, ","))
		for _, p := range r.Points {
			fmt.Fprintf(&b, " %v@%v", p.Value, p.Time.Sub(start))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// start is a time of which all of a test's samples are after.
var start = time.Now().Add(-30 * time.Minute).Truncate(time.Minute)

func TestSamplesAreFoundAsTheyWereAdded(t *testing.T) {
	s := fresh(t)
	up, down := series("rhumb_up", "stack", "shop"), series("rhumb_up", "stack", "blog")
	for i := range 4 {
		at := start.Add(time.Duration(i) * 5 * time.Second)
		err := s.Add(t.Context(), at, []observe.Sample{{Series: up, Value: float64(i)}, {Series: down, Value: -0.5}})
		if err != nil {
			t.Fatal(err)
		}
	}
	end := start.Add(15 * time.Second)
	for _, c := range []struct {
		q    rhumb.MetricQuery
		want string
	}{
		{rhumb.MetricQuery{Expr: "rhumb_up", Until: end}, "{__name__=rhumb_up,stack=blog}: -0.5@15s\n" +
			"{__name__=rhumb_up,stack=shop}: 3@15s\n"},
		{rhumb.MetricQuery{Expr: `rhumb_up{stack="shop"}`, Since: start, Until: end, Step: 5 * time.Second},
			"{__name__=rhumb_up,stack=shop}: 0@0s 1@5s 2@10s 3@15s\n"},
		{rhumb.MetricQuery{Expr: "sum(rhumb_up)", Until: end.Add(metrics.Lookback - time.Second)}, "{}: 2.5@5m14s\n"},
		{rhumb.MetricQuery{Expr: "sum(rhumb_up)", Until: end.Add(metrics.Lookback + time.Second)}, ""},
		{rhumb.MetricQuery{Expr: "1+1", Until: end}, "{}: 2@15s\n"},
		{rhumb.MetricQuery{Expr: "rhumb_up / 0 > 0", Until: end}, ""},
		{rhumb.MetricQuery{Expr: `rhumb_up{stack="shop"} / (rhumb_up - 1)`, Since: start, Until: end, Step: 5 * time.Second},
			"{stack=shop}: -0@0s 2@10s 1.5@15s\n"},
		{rhumb.MetricQuery{Expr: "max_over_time(rhumb_up[10s:5s])", Until: end},
			"{stack=blog}: -0.5@15s\n{stack=shop}: 3@15s\n"},
	} {
		if diff := cmp.Diff(c.want, query(t, s, c.q, start)); diff != "" {
			t.Errorf("%+v: %s", c.q, diff)
		}
	}
}

func TestASeriesThatEndedHasNoValueAnyMore(t *testing.T) {
	s := fresh(t)
	a, b := series("up", "n", "a"), series("up", "n", "b")
	add(t, s, start, a, 1)
	add(t, s, start, b, 1)
	// At the very time of the last sample, and of a series that the store doesn't know.
	if err := s.End(t.Context(), start, []*observe.Series{a, series("up", "n", "c")}); err != nil {
		t.Fatal(err)
	}
	if got := query(t, s, rhumb.MetricQuery{Expr: "up", Until: start.Add(time.Second)}, start); got !=
		"{__name__=up,n=b}: 1@1s\n" {
		t.Error(got)
	}
	add(t, s, start.Add(5*time.Second), a, 2)
	if got := query(t, s, rhumb.MetricQuery{Expr: `up{n="a"}`, Until: start.Add(6 * time.Second)}, start); got !=
		"{__name__=up,n=a}: 2@6s\n" {
		t.Error("it doesn't begin again: ", got)
	}
}

func TestSamplesThatCannotBeKeptAreCounted(t *testing.T) {
	s := open(t, metrics.Options{Dir: t.TempDir(), Series: 2})
	defer closeStore(t, s)
	up := series("up")
	add(t, s, start, up, 1)
	both := []observe.Sample{{Series: up}, {Series: series("second"), Value: 1}}
	err := s.Add(t.Context(), start.Add(-time.Second), both)
	if rhumb.ErrorCode(err) != rhumb.Invalid || s.Dropped() != 1 || !strings.Contains(err.Error(), "later") {
		t.Errorf("an older sample: %v, %d dropped", err, s.Dropped())
	}
	err = s.Add(t.Context(), start, []observe.Sample{{Series: series("third")}, {Series: series("second"), Value: 2}})
	if rhumb.ErrorCode(err) != rhumb.Invalid || s.Dropped() != 2 || !strings.Contains(err.Error(), "too many series") {
		t.Errorf("one series too many: %v, %d dropped", err, s.Dropped())
	}
	err = s.Add(t.Context(), start, []observe.Sample{{Series: series("up", "a", "1", "a", "2")}})
	if rhumb.ErrorCode(err) != rhumb.Invalid || s.Dropped() != 3 {
		t.Errorf("a label twice: %v, %d dropped", err, s.Dropped())
	}
	four := open(t, metrics.Options{Dir: t.TempDir(), Series: 4})
	defer closeStore(t, four)
	for _, c := range []struct {
		name string
		ok   bool
	}{{"a", true}, {"b", true}, {"c", true}, {"d", false}, {"rhumb_d", true}, {"rhumb_e", false}} {
		if err := four.Add(t.Context(), start, []observe.Sample{{Series: series(c.name)}}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got := query(t, s, rhumb.MetricQuery{Expr: "second", Until: start}, start); got != "{__name__=second}: 2@0s\n" {
		t.Errorf("what can be kept isn't: %q", got)
	}
}

func TestQueriesThatCannotBeAnsweredSayWhy(t *testing.T) {
	s := fresh(t)
	now := time.Now()
	for _, c := range []struct {
		q    rhumb.MetricQuery
		text string
	}{
		{rhumb.MetricQuery{Expr: "up{"}, "can't be read"},
		{rhumb.MetricQuery{Expr: ""}, "can't be read"},
		{rhumb.MetricQuery{Expr: `"text"`}, "no number"},
		{rhumb.MetricQuery{Expr: "up[5m]", Since: now.Add(-time.Minute)}, "can't be read"},
		{rhumb.MetricQuery{Expr: "label_replace(vector(1), `a`, `$1`, `b`, `(`)"}, "can't be evaluated"},
		{rhumb.MetricQuery{Expr: "up", Since: now, Until: now.Add(-1)}, "ends before"},
		{rhumb.MetricQuery{Expr: "up", Since: now.Add(-time.Hour), Step: -1}, "too short"},
		{rhumb.MetricQuery{Expr: "up", Since: now.Add(-11_000 * time.Second), Until: now, Step: time.Second},
			"11001 points"},
	} {
		_, err := s.Query(t.Context(), c.q)
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%+v: %v, want an error with %q", c.q, err, c.text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Query(ctx, rhumb.MetricQuery{Expr: "1"}); rhumb.ErrorCode(err) != rhumb.Cancelled {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-1))
	defer cancel()
	if _, err := s.Query(ctx, rhumb.MetricQuery{Expr: "1"}); rhumb.ErrorCode(err) != rhumb.Timeout {
		t.Errorf("out of time: %v", err)
	}
}

func TestTheStoreIsReopenedWithItsSamples(t *testing.T) {
	dir := t.TempDir()
	s := open(t, metrics.Options{Dir: dir})
	up := series("up")
	for i := range 400 { // more than two chunks
		add(t, s, start.Add(time.Duration(i)*time.Second), up, math.Sqrt(float64(i)))
	}
	q := rhumb.MetricQuery{Expr: "up", Since: start, Until: start.Add(400 * time.Second), Step: time.Second}
	want := query(t, s, q, start)
	closeStore(t, s)
	s = open(t, metrics.Options{Dir: dir})
	defer closeStore(t, s)
	if got := query(t, s, q, start); got != want || len(got) < 4000 {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	add(t, s, start.Add(time.Hour), up, 1)
}

func TestOneProcessHasTheStore(t *testing.T) {
	o := metrics.Options{Dir: t.TempDir(), Log: discard}
	s := open(t, o)
	add(t, s, start, series("up"), 1)
	if _, err := metrics.Open(o); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "damaged")); err == nil {
		t.Error("an open store was set aside")
	}
	closeStore(t, s)
}

func TestCallersMayAddAndQueryAtOnce(t *testing.T) {
	s := fresh(t)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			of := series("up", "n", fmt.Sprint(n))
			for i := range 200 {
				if err := s.Add(t.Context(), start.Add(time.Duration(i)*time.Second), []observe.Sample{{Series: of}}); err != nil {
					t.Error(err)
				}
				if i%20 == 0 {
					if _, err := s.Query(t.Context(), rhumb.MetricQuery{Expr: "sum(rate(up[1m]))"}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if got := query(t, s, rhumb.MetricQuery{Expr: "count(count_over_time(up[5m]) == 200)",
		Until: start.Add(200 * time.Second)}, start); got != "{}: 4@3m20s\n" {
		t.Error(got)
	}
}

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Writer(l), nil)) }

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// latest reads the last values of a store, as the contract asks for them.
type latest struct {
	*metrics.Store
	t *testing.T
}

func (l latest) Last(name string, labels ...string) (float64, bool) {
	list, err := l.Query(l.t.Context(), rhumb.MetricQuery{Expr: name})
	if err != nil {
		l.t.Fatal(err)
	}
	want := map[string]string{"__name__": name}
	for i := 0; i < len(labels); i += 2 {
		want[labels[i]] = labels[i+1]
	}
	for _, r := range list {
		if maps.Equal(r.Labels, want) {
			return r.Points[0].Value, true
		}
	}
	return 0, false
}

func TestContractOfSamples(t *testing.T) {
	observetest.RunSamples(t, func(t *testing.T) observetest.Samples { return latest{fresh(t), t} })
}
