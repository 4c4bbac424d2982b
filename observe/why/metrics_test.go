package why_test

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"rhumb"
)

// table holds samples in memory and evaluates real PromQL on them.
type table struct {
	series map[string]*promql.Series
	byName map[string][]*promql.Series
}

func newTable() *table {
	return &table{map[string]*promql.Series{}, map[string][]*promql.Series{}}
}

// add adds a sample. Labels are pairs of name and value.
func (t *table) add(at time.Time, v float64, name string, pairs ...string) {
	id := name + "\x00" + strings.Join(pairs, "\x00")
	s := t.series[id]
	if s == nil {
		s = &promql.Series{Metric: labels.FromStrings(append([]string{"__name__", name}, pairs...)...)}
		t.series[id] = s
		t.byName[name] = append(t.byName[name], s)
	}
	s.Floats = append(s.Floats, promql.FPoint{T: at.UnixMilli(), F: v})
}

var engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 5e7, Timeout: time.Minute,
	Parser: parser.NewParser(parser.Options{})})

// Query implements rhumb.Metrics.
func (t *table) Query(ctx context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	query, err := engine.NewRangeQuery(ctx, t, nil, q.Expr, q.Since, q.Until, q.Step)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: %w", q.Expr, err)
	}
	defer query.Close()
	m, err := query.Exec(ctx).Matrix()
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: %w", q.Expr, err)
	}
	var all []rhumb.Series
	for _, s := range m {
		one := rhumb.Series{Labels: s.Metric.Map()}
		for _, p := range s.Floats {
			if p.F == p.F && p.F < 1e300 && p.F > -1e300 {
				one.Points = append(one.Points, rhumb.Point{Time: time.UnixMilli(p.T), Value: p.F})
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// Querier implements storage.Queryable.
func (t *table) Querier(_, _ int64) (storage.Querier, error) { return querier{t}, nil }

type querier struct{ *table }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{}
	name := ""
	for _, m := range ms {
		if m.Name == "__name__" {
			name = m.Value
		}
	}
	for _, s := range q.byName[name] {
		if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(s.Metric.Get(m.Name)) }) {
			set.all = append(set.all, s)
		}
	}
	slices.SortFunc(set.all, func(a, b *promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return set
}

func (q querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string,
	annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string,
	annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) Close() error { return nil }

// seriesSet is a set of series that go on with All.
type seriesSet struct {
	all []*promql.Series
	i   int
}

func (s *seriesSet) Next() bool                        { s.i++; return s.i <= len(s.all) }
func (s *seriesSet) At() storage.Series                { return promql.NewStorageSeries(*s.all[s.i-1]) }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
