package client

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"rhumb"
	"rhumb/httpapi/wire"
)

// SetValue implements rhumb.Values.
func (c *Client) SetValue(ctx context.Context, name string, content io.Reader) error {
	path, err := at("values", name)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(content, wire.MaxValue+1))
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "value %s: its content can't be read: %w", name, err)
	}
	if len(b) > wire.MaxValue {
		return rhumb.Errorf(rhumb.Invalid, "value %s is larger than %d MB", name, wire.MaxValue>>20)
	}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	resp, err := c.do(ctx, http.MethodPut, path, header, bytes.NewReader(b))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// RemoveValue implements rhumb.Values.
func (c *Client) RemoveValue(ctx context.Context, name string) error {
	path, err := at("values", name)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

// Values implements rhumb.Values.
func (c *Client) Values(ctx context.Context) ([]string, error) {
	return get[[]string](ctx, c, "/values")
}
