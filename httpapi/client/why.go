package client

import (
	"context"
	"net/url"

	"rhumb"
)

var _ rhumb.Explainer = (*Client)(nil)

// Why implements rhumb.Explainer.
func (c *Client) Why(ctx context.Context, q rhumb.WhyQuery) (rhumb.Explanation, error) {
	v := url.Values{}
	setString(v, "stack", q.Stack)
	setString(v, "service", q.Service)
	setTime(v, "since", q.Since)
	setTime(v, "until", q.Until)
	return get[rhumb.Explanation](ctx, c, "/why?"+v.Encode())
}
