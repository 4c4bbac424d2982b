package rhumb

import (
	"context"
	"time"
)

// Metrics reads what is measured: of the machine, of the stacks' replicas and routes, and of rhumb itself. It changes
// nothing. docs/metrics.md has the names of all series.
type Metrics interface {
	// Query evaluates an expression. The series are sorted by their labels.
	// Invalid: the expression can't be read or evaluated, or the range has more than MaxPoints points. Timeout: it takes
	// too long. Unavailable: the process that measures doesn't answer.
	Query(ctx context.Context, q MetricQuery) ([]Series, error)
}

// MaxPoints is the largest number of points that a query may ask for in each series.
const MaxPoints = 11_000

// MetricQuery asks for the values of an expression: at the time Until, or with Since at each Step from Since to Until.
type MetricQuery struct {
	Expr  string        // in PromQL
	Since time.Time     `json:",omitzero"` // zero: one value, at Until
	Until time.Time     `json:",omitzero"` // zero: now
	Step  time.Duration `json:",omitzero"` // 0: 1/240 of the range, and at least 5 s
}

// Range returns the query with its zeros filled in.
func (q MetricQuery) Range(now time.Time) MetricQuery {
	if q.Until.IsZero() {
		q.Until = now
	}
	if !q.Since.IsZero() && q.Step == 0 {
		q.Step = max(q.Until.Sub(q.Since)/240, MeasureEvery).Truncate(time.Second)
	}
	return q
}

// MeasureEvery is how often replicas and routes are measured.
const MeasureEvery = 5 * time.Second

// Series is what one expression has for one set of labels. Points that aren't numbers, or infinite, are left out.
type Series struct {
	Labels map[string]string // the name of a series that was only selected is the label "__name__"
	Points []Point           // oldest first
}

// Point is a value at a time.
type Point struct {
	Time  time.Time
	Value float64
}

// Scrape is an application's own metrics: where its replicas answer with them, in the text format of Prometheus.
type Scrape struct {
	Port  uint16
	Path  string        // "/metrics"
	Every time.Duration // at least 5 s
}
