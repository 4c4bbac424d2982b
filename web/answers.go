package web

import (
	"context"
	"strconv"
	"sync"
	"time"

	"rhumb"
)

// answers are what a page asks for, all at the same time. A page whose answers failed in part shows the others.
type answers struct {
	ctx context.Context
	wg  sync.WaitGroup
}

// answer is one of them. It may be read once wait has returned.
type answer[T any] struct {
	Is  T
	Err error
}

// ask begins to ask for something.
func ask[T any](as *answers, f func(context.Context) (T, error)) *answer[T] {
	a := &answer[T]{}
	as.wg.Go(func() {
		ctx, cancel := context.WithTimeout(as.ctx, answerTime)
		defer cancel()
		a.Is, a.Err = f(ctx)
		if a.Err != nil && ctx.Err() != nil {
			a.Err = rhumb.Errorf(rhumb.Timeout, "no answer within %s", rhumb.Span(answerTime))
		}
	})
	return a
}

// wait returns once all answers are there.
func (as *answers) wait() { as.wg.Wait() }

// askMetric begins to evaluate an expression: as of now, or over a time that ends now.
func (s *server) askMetric(as *answers, expr string, over, step time.Duration) *answer[[]rhumb.Series] {
	q := rhumb.MetricQuery{Expr: expr, Until: s.now(), Step: step}
	if over > 0 {
		q.Since = q.Until.Add(-over)
	}
	return ask(as, func(ctx context.Context) ([]rhumb.Series, error) { return s.Metrics.Query(ctx, q) })
}

// quoted returns a text as PromQL writes it.
func quoted(s string) string { return strconv.Quote(s) }

// lastBy returns the last value of each series, by the value of one of its labels.
func lastBy(label string, series []rhumb.Series) map[string]float64 {
	last := map[string]float64{}
	for _, s := range series {
		if n := len(s.Points); n > 0 {
			last[s.Labels[label]] = s.Points[n-1].Value
		}
	}
	return last
}

// pointsBy returns the points of each series, by the value of one of its labels.
func pointsBy(label string, series []rhumb.Series) map[string][]rhumb.Point {
	points := map[string][]rhumb.Point{}
	for _, s := range series {
		points[s.Labels[label]] = s.Points
	}
	return points
}
