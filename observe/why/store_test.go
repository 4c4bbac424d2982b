package why_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/metrics"
	"rhumb/observe/observefake"
	"rhumb/observe/why"
)

// recorder records the expressions that are evaluated.
type recorder struct {
	rhumb.Metrics
	exprs []string
	empty []string // those without a result
}

func (r *recorder) Query(ctx context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	found, err := r.Metrics.Query(ctx, q)
	r.exprs = append(r.exprs, q.Expr)
	if len(found) == 0 {
		r.empty = append(r.empty, q.Expr)
	}
	return found, err
}

// fill adds all samples of a world to a store.
func fill(t *testing.T, w *world, store *metrics.Store) {
	t.Helper()
	at := map[int64][]observe.Sample{}
	for _, s := range w.series {
		series := &observe.Series{Name: s.Metric.Get("__name__")}
		s.Metric.Range(func(l labels.Label) {
			if l.Name != "__name__" {
				series.Labels = append(series.Labels, observe.Label{Name: l.Name, Value: l.Value})
			}
		})
		for _, p := range s.Floats {
			at[p.T] = append(at[p.T], observe.Sample{Series: series, Value: p.F})
		}
	}
	for ms := began.UnixMilli(); ms <= until.UnixMilli(); ms += tick.Milliseconds() {
		if err := store.Add(t.Context(), time.UnixMilli(ms), at[ms]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheRealStoreHasTheSameCauses(t *testing.T) {
	for _, f := range []fault{releaseFaults[0], replicaFaults[3], dependencyFaults[4], machineFaults[0]} {
		w := newWorld(seedOf(f.name, 7))
		f.begin(w, 0)
		w.run()
		store, err := metrics.Open(metrics.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		fill(t, w, store)
		lines := observefake.New()
		if _, err := lines.Append(t.Context(), w.lines); err != nil {
			t.Fatal(err)
		}
		q := rhumb.WhyQuery{Stack: "shop", Since: since, Until: until}
		rec := &recorder{Metrics: store}
		real, err := why.New(why.Deps{Metrics: rec, Lines: lines, Standings: standings{}}).Why(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		fake, err := why.New(why.Deps{Metrics: w.table, Lines: lines, Standings: standings{}}).Why(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(real.Missing) > 0 || len(rec.empty) > 0 {
			t.Errorf("%s: missing %q, expressions without a result %q", f.name, real.Missing, rec.empty)
		}
		if len(real.Causes) == 0 || !slices.Contains(f.want, real.Causes[0].Kind) || show(real) != show(fake) {
			t.Errorf("%s: the real store:\n%s\nthe table:\n%s", f.name, show(real), show(fake))
		}
		for _, c := range slices.Concat(real.Causes, fake.Causes) {
			for _, e := range c.Evidence {
				if e.Expr == "" {
					continue
				}
				if _, err := store.Query(t.Context(), rhumb.MetricQuery{Expr: e.Expr, Since: since, Until: until}); err != nil {
					t.Errorf("the expression of the evidence %q: %v", e.Text, err)
				}
			}
		}
	}
}

func TestExpressionsUseOnlyDocumentedSeries(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{Metrics: newTable()}
	_, err = why.New(why.Deps{Metrics: rec, Lines: observefake.New(), Standings: standings{}}).Why(t.Context(),
		rhumb.WhyQuery{Since: since, Until: until})
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.exprs) < 30 {
		t.Errorf("only %d expressions were evaluated", len(rec.exprs))
	}
	for _, expr := range rec.exprs {
		for _, name := range regexp.MustCompile(`rhumb_[a-z0-9_]+`).FindAllString(expr, -1) {
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("%s: docs/metrics.md has no series %s", expr, name)
			}
		}
	}
}
