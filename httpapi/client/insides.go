package client

import (
	"context"
	"iter"
	"net/url"

	"rhumb"
	"rhumb/httpapi/wire"
)

// Logs implements rhumb.Insides.
func (c *Client) Logs(
	ctx context.Context, stack string, services []string, o rhumb.LogOptions,
) iter.Seq2[rhumb.LogLine, error] {
	q := url.Values{"service": services}
	if o.Follow {
		q.Set("follow", "true")
	}
	setInt(q, "tail", int64(o.Tail))
	setTime(q, "since", o.Since)
	setTime(q, "until", o.Until)
	return func(yield func(rhumb.LogLine, error) bool) {
		path, err := at("stacks", stack, "logs")
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		c.each(ctx, path+"?"+q.Encode(), func(it wire.Item, err error) bool {
			if err != nil {
				return yield(rhumb.LogLine{}, err)
			}
			return it.Line == nil || yield(*it.Line, nil)
		})
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
