package client

import (
	"context"
	"iter"
	"net/url"

	"rhumb"
	"rhumb/httpapi/wire"
)

var (
	_ rhumb.Observer      = (*Client)(nil)
	_ rhumb.LogForwarding = (*Client)(nil)
)

// Lines implements rhumb.Observer.
func (c *Client) Lines(ctx context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) { c.lines(ctx, "/logs?"+logQuery(q), yield) }
}

// LogCounts implements rhumb.Observer.
func (c *Client) LogCounts(ctx context.Context, q rhumb.LogQuery) ([]rhumb.LogCount, error) {
	return get[[]rhumb.LogCount](ctx, c, "/logs/counts?"+logQuery(q))
}

// LogDestinations implements rhumb.LogForwarding.
func (c *Client) LogDestinations(ctx context.Context) ([]rhumb.LogDestination, error) {
	return get[[]rhumb.LogDestination](ctx, c, "/logs/destinations")
}

// logQuery returns a query as the parameters of a request.
func logQuery(q rhumb.LogQuery) string {
	v := url.Values{"service": q.Services}
	setRange(v, q.LogOptions)
	setString(v, "stack", q.Stack)
	setString(v, "replica", q.Replica)
	setInt(v, "release", int64(q.Release))
	for _, k := range q.Kinds {
		v.Add("kind", k.String())
	}
	setString(v, "stream", q.Stream)
	setString(v, "level", q.Level.String())
	setString(v, "grep", q.Grep)
	setString(v, "query", q.Query)
	setInt(v, "around", int64(q.Around))
	return v.Encode()
}

func setRange(v url.Values, o rhumb.LogOptions) {
	if o.Follow {
		v.Set("follow", "true")
	}
	setInt(v, "tail", int64(o.Tail))
	setTime(v, "since", o.Since)
	setTime(v, "until", o.Until)
}

// lines passes a stream's log lines to yield. An error comes last.
func (c *Client) lines(ctx context.Context, path string, yield func(rhumb.LogLine, error) bool) {
	c.each(ctx, path, func(it wire.Item, err error) bool {
		l, ok := it.LogLine()
		return err == nil && !ok || yield(l, err)
	})
}
