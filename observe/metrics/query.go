package metrics

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"rhumb"
)

var _ rhumb.Metrics = (*Store)(nil)

// Lookback is for how long a query takes the last sample of a series for its value.
const Lookback = 5 * time.Minute

const (
	maxSamples   = 10_000_000 // that a query holds in memory at a time, with 16 bytes each
	queryTimeout = 30 * time.Second
	subqueryStep = time.Minute // of subqueries that name none
	maxQueries   = 4           // that are evaluated at once
	maxWaiting   = 64
)

// Query implements rhumb.Metrics.
func (s *Store) Query(ctx context.Context, q rhumb.MetricQuery) (list []rhumb.Series, err error) {
	err = s.Evaluate(ctx, q, func(v parser.Value, _ annotations.Annotations) error {
		list, err = seriesOf(v)
		return err
	})
	return list, err
}

// Evaluate evaluates an expression and calls use with the value, which is valid during the call. The errors are those
// of Query; parser.ParseErrors are in the chain of an error in the expression.
func (s *Store) Evaluate(
	ctx context.Context, q rhumb.MetricQuery, use func(parser.Value, annotations.Annotations) error,
) error {
	q = q.Range(time.Now())
	if err := check(q); err != nil {
		return err
	}
	return s.turns.take(ctx, func(ctx context.Context) error {
		query, err := s.prepare(ctx, q)
		if err != nil {
			return rhumb.Errorf(rhumb.Invalid, "the expression can't be read: %w", err)
		}
		defer query.Close()
		r := query.Exec(ctx)
		if r.Err != nil {
			return explain(ctx, r.Err)
		}
		return use(r.Value, r.Warnings)
	})
}

// check returns an error if the times of a query can't be evaluated.
func check(q rhumb.MetricQuery) error {
	if q.Since.IsZero() {
		return nil
	}
	if q.Until.Before(q.Since) {
		return rhumb.Errorf(rhumb.Invalid, "the range ends before it begins")
	}
	if q.Step < time.Millisecond {
		return rhumb.Errorf(rhumb.Invalid, "the step %v is too short", q.Step).WithHint("steps are of 1ms and more")
	}
	if n := q.Until.Sub(q.Since) / q.Step; n >= rhumb.MaxPoints {
		return rhumb.Errorf(rhumb.Invalid, "the range has %d points, and %d is the most", n+1, rhumb.MaxPoints).
			WithHint("use a longer step, or a shorter range")
	}
	return nil
}

func (s *Store) prepare(ctx context.Context, q rhumb.MetricQuery) (promql.Query, error) {
	if q.Since.IsZero() {
		return s.engine.NewInstantQuery(ctx, s.db, nil, q.Expr, q.Until)
	}
	return s.engine.NewRangeQuery(ctx, s.db, nil, q.Expr, q.Since, q.Until, q.Step)
}

// explain returns the error of an evaluation in the words of the port.
func explain(ctx context.Context, err error) error {
	var timeout promql.ErrQueryTimeout
	var cancelled promql.ErrQueryCanceled
	var much promql.ErrTooManySamples
	var disk promql.ErrStorage
	switch {
	case errors.As(err, &timeout), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return rhumb.Errorf(rhumb.Timeout, "the query takes longer than %v: %w", queryTimeout, err).
			WithHint("ask for fewer series, or for a shorter range")
	case errors.As(err, &cancelled), ctx.Err() != nil:
		return rhumb.Errorf(rhumb.Cancelled, "the query was cancelled: %w", err)
	case errors.As(err, &much):
		return rhumb.Errorf(rhumb.Invalid, "the query has more than %d samples in memory: %w", maxSamples, err).
			WithHint("ask for fewer series, or for a shorter range")
	case errors.As(err, &disk):
		return rhumb.Errorf(rhumb.Internal, "the metrics can't be read: %w", err)
	}
	return rhumb.Errorf(rhumb.Invalid, "the expression can't be evaluated: %w", err)
}

// seriesOf returns a value as series. Series without a point are left out.
func seriesOf(v parser.Value) ([]rhumb.Series, error) {
	var list []rhumb.Series
	add := func(ls labels.Labels, floats ...promql.FPoint) {
		ps := make([]rhumb.Point, 0, len(floats))
		for _, f := range floats {
			if !math.IsNaN(f.F) && !math.IsInf(f.F, 0) {
				ps = append(ps, rhumb.Point{Time: time.UnixMilli(f.T).UTC(), Value: f.F})
			}
		}
		if len(ps) > 0 {
			list = append(list, rhumb.Series{Labels: ls.Map(), Points: ps})
		}
	}
	switch v := v.(type) {
	case promql.Matrix:
		slices.SortFunc(v, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
		for _, r := range v {
			add(r.Metric, r.Floats...)
		}
	case promql.Vector:
		slices.SortFunc(v, func(a, b promql.Sample) int {
			return cmp.Or(labels.Compare(a.Metric, b.Metric), cmp.Compare(a.T, b.T))
		})
		for _, r := range v {
			if r.H == nil {
				add(r.Metric, promql.FPoint{T: r.T, F: r.F})
			}
		}
	case promql.Scalar:
		add(labels.EmptyLabels(), promql.FPoint{T: v.T, F: v.V})
	default:
		return nil, rhumb.Errorf(rhumb.Invalid, "the expression has no number as its value, but a %s", v.Type())
	}
	return list, nil
}
