package client

import (
	"context"
	"net/url"

	"rhumb"
)

var _ rhumb.Metrics = (*Client)(nil)

// Query implements rhumb.Metrics.
func (c *Client) Query(ctx context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	v := url.Values{"expr": {q.Expr}}
	setTime(v, "since", q.Since)
	setTime(v, "until", q.Until)
	if q.Step != 0 {
		v.Set("step", q.Step.String())
	}
	return get[[]rhumb.Series](ctx, c, "/metrics/query?"+v.Encode())
}
