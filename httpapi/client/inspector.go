package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rhumb"
	"rhumb/httpapi/wire"
)

// Info is rhumb.Inspector's.
func (c *Client) Info(ctx context.Context) (rhumb.ServerInfo, error) {
	return get[rhumb.ServerInfo](ctx, c, "/info")
}

// Stacks is rhumb.Inspector's.
func (c *Client) Stacks(ctx context.Context) ([]rhumb.StackInfo, error) {
	return get[[]rhumb.StackInfo](ctx, c, "/stacks")
}

// Status is rhumb.Inspector's.
func (c *Client) Status(ctx context.Context, stack string) (rhumb.StackInfo, error) {
	path, err := at("stacks", stack)
	if err != nil {
		return rhumb.StackInfo{}, err
	}
	return get[rhumb.StackInfo](ctx, c, path)
}

// Releases is rhumb.Inspector's.
func (c *Client) Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	path, err := at("stacks", stack, "releases")
	if err != nil {
		return nil, err
	}
	return get[[]rhumb.ReleaseInfo](ctx, c, path)
}

// Diff is rhumb.Inspector's.
func (c *Client) Diff(ctx context.Context, stack string, a, b int) ([]rhumb.Difference, error) {
	path, err := at("stacks", stack, "releases", "diff")
	if err != nil {
		return nil, err
	}
	return get[[]rhumb.Difference](ctx, c, fmt.Sprintf("%s?a=%d&b=%d", path, a, b))
}

// Routes is rhumb.Inspector's.
func (c *Client) Routes(ctx context.Context) (rhumb.RouterStatus, error) {
	return get[rhumb.RouterStatus](ctx, c, "/routes")
}

// Certificates is rhumb.Inspector's.
func (c *Client) Certificates(ctx context.Context) ([]rhumb.CertificateStatus, error) {
	return get[[]rhumb.CertificateStatus](ctx, c, "/certificates")
}

// RootCertificate is rhumb.Inspector's.
func (c *Client) RootCertificate(ctx context.Context) (string, error) {
	r, err := get[wire.Root](ctx, c, "/certificates/root")
	return r.PEM, err
}

// Events is rhumb.Inspector's. After a broken connection it can be called again with After at the last ID.
func (c *Client) Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	q := url.Values{}
	setString(q, "stack", f.Stack)
	setInt(q, "deployment", f.Deployment)
	setInt(q, "after", f.After)
	setTime(q, "since", f.Since)
	setInt(q, "limit", int64(f.Limit))
	if f.Follow {
		q.Set("follow", "true")
	}
	return func(yield func(rhumb.Event, error) bool) {
		c.each(ctx, "/events?"+q.Encode(), func(it wire.Item, err error) bool {
			if err != nil {
				return yield(rhumb.Event{}, err)
			}
			return it.Event == nil || yield(*it.Event, nil)
		})
	}
}

// Logs is rhumb.Inspector's.
func (c *Client) Logs(ctx context.Context, stack string, services []string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
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

// each reads a stream until take wants no more; an error is the last that it gives.
func (c *Client) each(ctx context.Context, path string, take func(wire.Item, error) bool) {
	if _, err := c.stream(ctx, request{method: http.MethodGet, path: path}, func(it wire.Item) bool { return take(it, nil) }); err != nil {
		take(wire.Item{}, err)
	}
}

func setString(q url.Values, key, v string) {
	if v != "" {
		q.Set(key, v)
	}
}

func setInt(q url.Values, key string, v int64) {
	if v != 0 {
		q.Set(key, strconv.FormatInt(v, 10))
	}
}

func setTime(q url.Values, key string, v time.Time) {
	if !v.IsZero() {
		q.Set(key, v.Format(time.RFC3339Nano))
	}
}
