package promapi

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"rhumb"
)

func (a *api) query(r *http.Request) ([]byte, []string, error) {
	q := rhumb.MetricQuery{Expr: r.Form.Get("query")}
	var err error
	if q.Until, err = timeOf(r, "time", time.Now()); err != nil {
		return nil, nil, err
	}
	return a.evaluate(r, q)
}

func (a *api) queryRange(r *http.Request) ([]byte, []string, error) {
	q := rhumb.MetricQuery{Expr: r.Form.Get("query")}
	for _, p := range []struct {
		name string
		to   *time.Time
	}{{"start", &q.Since}, {"end", &q.Until}} {
		var err error
		if *p.to, err = timeOf(r, p.name, time.Time{}); err != nil {
			return nil, nil, err
		}
		if p.to.IsZero() {
			return nil, nil, badData("the parameter " + p.name + " is missing")
		}
	}
	step, err := durationOf(r.Form.Get("step"))
	switch {
	case err != nil || step < time.Millisecond:
		return nil, nil, badData("step must be a number of seconds or a duration, such as 15s, and at least 1ms")
	case q.Until.Before(q.Since):
		return nil, nil, badData("end is before start")
	case q.Until.Sub(q.Since)/step >= rhumb.MaxPoints:
		return nil, nil, badData("the range has more than " + strconv.Itoa(rhumb.MaxPoints) +
			" points: use a longer step, or a shorter range")
	}
	q.Step = step
	return a.evaluate(r, q)
}

// evaluate answers with the value of an expression.
func (a *api) evaluate(r *http.Request, q rhumb.MetricQuery) (data []byte, warnings []string, err error) {
	if r.Form.Has("lookback_delta") {
		return nil, nil, badData("lookback_delta is always 5m here")
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel, err := withTimeout(r)
	if err != nil {
		return nil, nil, err
	}
	defer cancel()
	err = a.inTurn(ctx, func() error {
		return a.Store.Evaluate(ctx, q, func(v parser.Value, ws annotations.Annotations) error {
			w, i := ws.AsStrings(q.Expr, 10, 10)
			warnings = append(w, i...)
			var cut bool
			if data, cut, err = valueJSON(v, limit); cut {
				warnings = append(warnings, "results truncated due to limit")
			}
			return err
		})
	})
	return data, warnings, err
}

// withTimeout returns the request's context, ended by the parameter timeout.
func withTimeout(r *http.Request) (context.Context, context.CancelFunc, error) {
	s := r.Form.Get("timeout")
	if s == "" {
		ctx, cancel := context.WithCancel(r.Context())
		return ctx, cancel, nil
	}
	d, err := durationOf(s)
	if err != nil || d <= 0 {
		return nil, nil, badData("timeout must be a number of seconds or a duration, such as 30s")
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	return ctx, cancel, nil
}

func (a *api) formatQuery(r *http.Request) ([]byte, []string, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Form.Get("query"))
	if err != nil {
		return nil, nil, badData(err.Error())
	}
	return appendJSON(nil, expr.Pretty(0)), nil, nil
}

// timeOf returns a parameter that is a time: seconds of Unix time, or RFC 3339.
func timeOf(r *http.Request, name string, none time.Time) (time.Time, error) {
	s := r.Form.Get(name)
	if s == "" {
		return none, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		// math.Round: 1700000000.1 has no exact value.
		if ms := math.Round(f * 1000); !math.IsNaN(ms) && ms > -9e14 && ms < 9e14 {
			return time.UnixMilli(int64(ms)).UTC(), nil
		}
	} else if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	return time.Time{}, badData("the parameter " + name + " must be a time: in seconds, or as in RFC 3339")
}

// durationOf returns a duration: a number of seconds, or as in PromQL.
func durationOf(s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if ns := f * 1e9; !math.IsNaN(ns) && math.Abs(ns) < math.MaxInt64/2 {
			return time.Duration(ns), nil
		}
		return 0, strconv.ErrRange
	}
	d, err := model.ParseDuration(s)
	return time.Duration(d), err
}
