// Package promapi answers the HTTP API of Prometheus from the store of metrics, so that Grafana and other clients read
// rhumb as they read a Prometheus; and at /metrics the latest values of rhumb's own series, for a Prometheus that
// scrapes them. It changes nothing.
package promapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"rhumb"
	"rhumb/observe/metrics"
)

// Store reads metrics. *metrics.Store implements it.
type Store interface {
	Evaluate(ctx context.Context, q rhumb.MetricQuery, use func(parser.Value, annotations.Annotations) error) error
	LabelNames(ctx context.Context, sel metrics.Selection) ([]string, error)
	LabelValues(ctx context.Context, name string, sel metrics.Selection) ([]string, error)
	SeriesLabels(ctx context.Context, sel metrics.Selection) ([]labels.Labels, error)
}

// Alerts knows the rules and the alerts. rhumb.Alerts implements it.
type Alerts interface {
	Alerts(ctx context.Context, stack string) ([]rhumb.Alert, error)
	AlertRules(ctx context.Context) ([]rhumb.AlertRule, error)
}

// Deps is what the handler needs.
type Deps struct {
	Store   Store
	Alerts  Alerts // nil: there are none
	Version string // of rhumb
	Log     *slog.Logger
}

// What clients can make the handler spend.
const (
	maxRequests  = 32      // that are being answered
	maxEvaluated = 3       // of those, that read the store; the store has turns for more, which alerts and pages need
	maxForm      = 1 << 20 // bytes of a request's body
	maxPoints    = 500_000 // in an answer
	answerWithin = time.Minute
)

type api struct {
	Deps
	requests  chan struct{}
	evaluated chan struct{}
}

// New returns the handler. It checks neither who asks nor the Host header: that is up to where it listens.
func New(d Deps) http.Handler {
	a := &api{d, make(chan struct{}, maxRequests), make(chan struct{}, maxEvaluated)}
	mux := http.NewServeMux()
	for path, answer := range map[string]answer{
		"query":               a.query,
		"query_range":         a.queryRange,
		"query_exemplars":     a.empty("[]"),
		"format_query":        a.formatQuery,
		"labels":              a.labels,
		"label/{name}/values": a.labelValues,
		"series":              a.series,
		"metadata":            a.metadata,
		"rules":               a.rules,
		"alerts":              a.alerts,
		"alertmanagers":       a.empty(`{"activeAlertmanagers":[],"droppedAlertmanagers":[]}`),
		"targets":             a.empty(`{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}`),
		"status/buildinfo":    a.buildInfo,
		"status/flags":        a.empty("{}"),
		"status/config":       a.empty(`{"yaml":""}`),
	} {
		mux.HandleFunc("/api/v1/"+path, a.serve(answer))
	}
	mux.HandleFunc("/metrics", a.exposition)
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { writeText(w, "rhumb is ready.\n") })
	}
	return a.bounded(mux)
}

// bounded answers GET, HEAD and POST only, few at a time, and to no client for long.
func (a *api) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodPost:
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		select {
		case a.requests <- struct{}{}:
			defer func() { <-a.requests }()
		default:
			writeFault(w, fault{http.StatusServiceUnavailable, "unavailable", "too many requests are being answered"})
			return
		}
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(answerWithin))
		control.SetWriteDeadline(time.Now().Add(answerWithin))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// inTurn calls f when few others read the store.
func (a *api) inTurn(ctx context.Context, f func() error) error {
	select {
	case a.evaluated <- struct{}{}:
		defer func() { <-a.evaluated }()
		return f()
	case <-ctx.Done():
		return rhumb.Errorf(rhumb.Timeout, "too many queries wait: %w", ctx.Err())
	}
}
