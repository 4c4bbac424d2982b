package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"rhumb"
)

// Client calls the proxy at the other end of a control socket. It implements rhumb.Router. Its errors are those of the
// Proxy, or Unavailable if the proxy can't be reached. It keeps no connection, so it needs no closing.
type Client struct {
	socket string
	http   *http.Client
}

// callTime bounds one call.
const callTime = 30 * time.Second

// Dial returns a client of the proxy that listens on the socket. It connects at each call.
func Dial(socket string) *Client {
	var d net.Dialer
	return &Client{socket: socket, http: &http.Client{
		Timeout: callTime,
		Transport: &http.Transport{
			// A kept connection would still reach the old proxy after a handover.
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
		},
	}}
}

// Apply implements rhumb.Router.
func (c *Client) Apply(ctx context.Context, t rhumb.Table) error {
	return c.call(ctx, http.MethodPut, "/table", t, nil)
}

// Status implements rhumb.Router.
func (c *Client) Status(ctx context.Context) (rhumb.RouterStatus, error) {
	var st rhumb.RouterStatus
	err := c.call(ctx, http.MethodGet, "/status", nil, &st)
	return st, err
}

// Check implements rhumb.Router.
func (c *Client) Check(ctx context.Context, ls []rhumb.Listener) error {
	return c.call(ctx, http.MethodPost, "/check", ls, nil)
}

// call calls, and retries while the proxy says that it is leaving: the new control socket appears a moment after a
// handover. All calls are idempotent.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "proxy: the request can't be encoded: %w", err)
	}
	for range leavingTries {
		err = c.once(ctx, method, path, data, out)
		if err == nil || err.Error() != ErrLeaving.Msg {
			return err
		}
		select {
		case <-time.After(leavingPause):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

const (
	leavingTries = 20
	leavingPause = 25 * time.Millisecond
)

func (c *Client) once(ctx context.Context, method, path string, data []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://proxy"+path, bytes.NewReader(data))
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "proxy: the request can't be made: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the proxy at %s doesn't answer: %w", c.socket, err).
			WithHint("is rhumb proxy running?")
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the proxy at %s closed the connection: %w", c.socket, err)
	}
	return c.decode(resp.StatusCode, answer, out)
}

func (c *Client) decode(status int, answer []byte, out any) error {
	if status != http.StatusOK {
		var e wireError
		if err := json.Unmarshal(answer, &e); err != nil || e.Code == "" {
			return rhumb.Errorf(rhumb.Internal, "the proxy at %s answered with status %d", c.socket, status)
		}
		return &rhumb.Error{Code: e.Code, Msg: e.Msg, Hint: e.Hint}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return rhumb.Errorf(rhumb.Internal, "the answer of the proxy at %s can't be parsed: %w", c.socket, err)
	}
	return nil
}

var _ rhumb.Router = (*Client)(nil)
