package httpapi

import (
	"context"
	"iter"
	"net/http"

	"rhumb"
	"rhumb/httpapi/wire"
)

// LogRange chooses log lines by time. It is exported for the same reason as StackPath.
type LogRange struct {
	Follow bool   `query:"follow" doc:"go on with those that follow"`
	Tail   int    `query:"tail" doc:"the last so many; 0: all; negative: none of the old ones"`
	Since  string `query:"since" doc:"only those not before this time (RFC 3339)"`
	Until  string `query:"until" doc:"only those before this time (RFC 3339)"`
}

func (r LogRange) options() (rhumb.LogOptions, error) {
	o := rhumb.LogOptions{Follow: r.Follow, Tail: r.Tail}
	var err error
	if o.Since, err = timeOf(r.Since, "since"); err != nil {
		return o, err
	}
	o.Until, err = timeOf(r.Until, "until")
	return o, err
}

type linesInput struct {
	LogRange
	Stack   string   `query:"stack" doc:"only this stack's"`
	Service []string `query:"service,explode" doc:"only these services'"`
	Replica string   `query:"replica" doc:"only of the replica with this name, or with an ID that begins so"`
	Release int      `query:"release" minimum:"0" doc:"only of this release's replicas; 0: of all"`
	Kind    []string `query:"kind,explode" enum:"output,hook,access,event,daemon,proxy" doc:"none: the first three"`
	Stream  string   `query:"stream" enum:"stdout,stderr" doc:"only lines on this stream"`
	Level   string   `query:"level" enum:"trace,debug,info,warn,error,fatal" doc:"only lines of at least this level"`
	Grep    string   `query:"grep" doc:"only lines that match this regular expression (RE2)"`
	Query   string   `query:"query" doc:"only lines that match this query (LogsQL)"`
	Around  int      `query:"around" minimum:"0" doc:"also so many lines before and after each line that matches grep"`
}

func (in *linesInput) query() (rhumb.LogQuery, error) {
	q := rhumb.LogQuery{Stack: in.Stack, Services: in.Service, Replica: in.Replica, Release: in.Release,
		Stream: in.Stream, Grep: in.Grep, Query: in.Query, Around: in.Around}
	for _, name := range in.Kind {
		k, err := rhumb.ParseLineKind(name)
		if err != nil {
			return q, err
		}
		q.Kinds = append(q.Kinds, k)
	}
	var err error
	if q.Level, err = rhumb.ParseLevel(in.Level); err != nil {
		return q, err
	}
	q.LogOptions, err = in.options()
	return q, err
}

func (a *api) observer(s rhumb.Observer) {
	stream(a, op("lines", http.MethodGet, "/logs", "Stream kept log lines, also of replicas that are gone"),
		func(ctx context.Context, in *linesInput, send func(wire.Item) error) (wire.Item, error) {
			q, err := in.query()
			if err != nil {
				return wire.Item{}, err
			}
			return sendLines(s.Lines(ctx, q), send)
		})
	handle(a, op("log-counts", http.MethodGet, "/logs/counts", "Count kept log lines by service and release"),
		func(ctx context.Context, in *linesInput) ([]rhumb.LogCount, error) {
			q, err := in.query()
			if err != nil {
				return nil, err
			}
			return s.LogCounts(ctx, q)
		})
}

func (a *api) forwarding(s rhumb.LogForwarding) {
	handle(a, op("log-destinations", http.MethodGet, "/logs/destinations", "Show how the forwarding of log lines goes"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.LogDestination, error) { return s.LogDestinations(ctx) })
}

// sendLines sends log lines until there are no more, and returns the last item.
func sendLines(lines iter.Seq2[rhumb.LogLine, error], send func(wire.Item) error) (wire.Item, error) {
	for l, err := range lines {
		if err != nil {
			return wire.Item{}, err
		}
		if err := send(wire.NewLine(l)); err != nil {
			return wire.Item{}, context.Canceled // the reader has gone
		}
	}
	return wire.Item{End: true}, nil
}
