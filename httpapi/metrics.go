package httpapi

import (
	"context"
	"net/http"
	"time"

	"rhumb"
)

type metricsInput struct {
	Expr  string `query:"expr" required:"true" doc:"what to evaluate, in PromQL"`
	Since string `query:"since" doc:"the first time (RFC 3339); none: one value, at until"`
	Until string `query:"until" doc:"the last time; none: now"`
	Step  string `query:"step" doc:"the time between two points: 15s; none: as fits the range"`
}

func (in *metricsInput) query() (rhumb.MetricQuery, error) {
	q := rhumb.MetricQuery{Expr: in.Expr}
	var err error
	if q.Since, q.Until, err = timesOf(in.Since, in.Until); err != nil || in.Step == "" {
		return q, err
	}
	if q.Step, err = time.ParseDuration(in.Step); err != nil || q.Step <= 0 {
		return q, rhumb.Errorf(rhumb.Invalid, "step: %q is not a time span", in.Step).WithHint("write it as 15s or 1h")
	}
	return q, nil
}

// timesOf parses the times of a range from a query.
func timesOf(since, until string) (from, to time.Time, err error) {
	if from, err = timeOf(since, "since"); err == nil {
		to, err = timeOf(until, "until")
	}
	return from, to, err
}

func (a *api) metrics(s rhumb.Metrics) {
	handle(a, op("query-metrics", http.MethodGet, "/metrics/query", "Evaluate an expression over what is measured"),
		func(ctx context.Context, in *metricsInput) ([]rhumb.Series, error) {
			q, err := in.query()
			if err != nil {
				return nil, err
			}
			return s.Query(ctx, q)
		})
}
