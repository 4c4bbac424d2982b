package client

import (
	"context"
	"iter"
	"net/url"

	"rhumb"
)

// Logs implements rhumb.Insides.
func (c *Client) Logs(
	ctx context.Context, stack string, services []string, o rhumb.LogOptions,
) iter.Seq2[rhumb.LogLine, error] {
	q := url.Values{"service": services}
	setRange(q, o)
	return func(yield func(rhumb.LogLine, error) bool) {
		path, err := at("stacks", stack, "logs")
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		c.lines(ctx, path+"?"+q.Encode(), yield)
	}
}

// Exec implements rhumb.Insides.
func (c *Client) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	path, err := at("stacks", stack, "services", service, "exec")
	if err != nil {
		return 0, err
	}
	return c.join(ctx, path, slot, o)
}

// Run implements rhumb.Insides.
func (c *Client) Run(ctx context.Context, stack, service string, o rhumb.ExecOptions) (int, error) {
	path, err := at("stacks", stack, "services", service, "run")
	if err != nil {
		return 0, err
	}
	return c.join(ctx, path, 0, o)
}
