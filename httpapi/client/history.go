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

// Deployment implements rhumb.History.
func (c *Client) Deployment(ctx context.Context, stack string, id int64) (rhumb.Deployment, error) {
	path, err := at("stacks", stack, "deployments", strconv.FormatInt(id, 10))
	if err != nil {
		return rhumb.Deployment{}, err
	}
	return get[rhumb.Deployment](ctx, c, path)
}

// Deployments implements rhumb.History.
func (c *Client) Deployments(ctx context.Context, stack string, limit int) ([]rhumb.Deployment, error) {
	path, err := at("stacks", stack, "deployments")
	if err != nil {
		return nil, err
	}
	return get[[]rhumb.Deployment](ctx, c, path+"?limit="+strconv.Itoa(limit))
}

// Releases implements rhumb.History.
func (c *Client) Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	path, err := at("stacks", stack, "releases")
	if err != nil {
		return nil, err
	}
	return get[[]rhumb.ReleaseInfo](ctx, c, path)
}

// Diff implements rhumb.History.
func (c *Client) Diff(ctx context.Context, stack string, a, b int) ([]rhumb.Difference, error) {
	path, err := at("stacks", stack, "releases", "diff")
	if err != nil {
		return nil, err
	}
	return get[[]rhumb.Difference](ctx, c, fmt.Sprintf("%s?a=%d&b=%d", path, a, b))
}

// Events implements rhumb.History. After a broken connection it can be called again with After at the last ID.
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

// each passes a stream's items to take until it returns false. An error comes last.
func (c *Client) each(ctx context.Context, path string, take func(wire.Item, error) bool) {
	get := request{method: http.MethodGet, path: path}
	if _, err := c.stream(ctx, get, func(it wire.Item) bool { return take(it, nil) }); err != nil {
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
