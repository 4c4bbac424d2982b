// Package client is rhumb.Server at the other end of the wire. Every call goes to a daemon over HTTP: through a unix
// socket, through ssh, or over a network.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"rhumb"
	"rhumb/httpapi/wire"
)

// DefaultHost is where a daemon listens by default.
const DefaultHost = "unix:///run/rhumb/rhumb.sock"

// maxAnswer is the longest answer that isn't a stream, in bytes.
const maxAnswer = 64 << 20

// Client calls one daemon. Its connections are opened as they are needed.
type Client struct {
	// From is the address from which this machine is used over SSH, if it is known. The server's bans spare it.
	From netip.Addr

	host string
	base string // "http://rhumb/v1"
	http *http.Client
}

var _ rhumb.Server = (*Client)(nil)

// New returns a client for host: "unix:///path", "ssh://user@host[:port][/path]", "http://host[:port]" or "https://…";
// "" is DefaultHost. It connects to nothing yet. A host of another form is Invalid.
func New(host string) (*Client, error) {
	if host == "" {
		host = DefaultHost
	}
	u, err := url.Parse(host)
	if err != nil {
		return nil, badHost(host)
	}
	base, dial, err := dialer(u)
	if err != nil {
		return nil, err
	}
	return newClient(host, base, dial), nil
}

func newClient(host, base string, dial dialFunc) *Client {
	t := &http.Transport{
		DialContext: dial, MaxIdleConnsPerHost: 2, DisableCompression: true, Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true) // HTTP/2 has no upgrades
	if dial == nil {
		t.Proxy = http.ProxyFromEnvironment
	}
	return &Client{host: host, base: base + "/v1", http: &http.Client{Transport: t, CheckRedirect: refuseRedirect}}
}

// Close closes idle connections and ends the processes behind them.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func badHost(host string) error {
	return rhumb.Errorf(rhumb.Invalid, "%q doesn't name a server", host).
		WithHint("write unix:///run/rhumb/rhumb.sock, ssh://user@host or https://host")
}

func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// do makes a request and returns the answer if its status is good. The caller closes its body.
func (c *Client) do(
	ctx context.Context, method, path string, header http.Header, body io.Reader,
) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "the request can't be made: %w", err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.From.IsValid() {
		req.Header.Set(wire.HeaderFrom, c.From.String())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	return nil, c.problem(resp)
}

// problem returns the error in an answer with a bad status.
func (c *Client) problem(resp *http.Response) error {
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxSmall))
	var p wire.Problem
	if err != nil || json.Unmarshal(b, &p) != nil || p.Code == "" {
		return rhumb.Errorf(rhumb.Unavailable, "%s answers with %s, not as a rhumb server does", c.host, resp.Status)
	}
	return p.Err()
}

// call makes a request whose body and answer are JSON; nil means none.
func (c *Client) call(ctx context.Context, method, path string, body, answer any) error {
	var r io.Reader
	header := http.Header{}
	if body != nil {
		b, err := encode(body)
		if err != nil {
			return err
		}
		r, header = bytes.NewReader(b), jsonHeader
	}
	resp, err := c.do(ctx, method, path, header, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return c.broken(ctx, err)
	}
	finish(resp.Body)
	return nil
}

// finish reads the rest of an answer, a line's end, so that its connection is used again. Over ssh each new
// connection is a login.
func finish(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 512) } // a failure costs only the connection

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

// encode returns a request's body. It refuses here what the server would refuse after the trip.
func encode(body any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "the request can't be encoded: %w", err)
	}
	if len(b) > wire.MaxModel {
		return nil, rhumb.Errorf(rhumb.Invalid,
			"the stack with its configs, secrets and project files is larger than %d MB", wire.MaxModel>>20).
			WithHint("put large files into an image or a volume")
	}
	return b, nil
}

// get makes a request for a JSON answer.
func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var v T
	err := c.call(ctx, http.MethodGet, path, nil, &v)
	return v, err
}

// at returns the path of segments. Invalid: one of them is no name.
func at(parts ...string) (string, error) {
	var b bytes.Buffer
	for _, p := range parts {
		if p == "" || p == "." || p == ".." {
			return "", rhumb.Errorf(rhumb.Invalid, "%q is not a name", p)
		}
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String(), nil
}

// unreachable returns the error of a request without an answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var e *rhumb.Error
	if errors.As(err, &e) {
		return e
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "dial" {
		return c.broken(ctx, err) // the request may have arrived
	}
	return &rhumb.Error{Code: rhumb.Unavailable, Msg: fmt.Sprintf("the server at %s can't be reached: %v", c.host, err),
		Hint: "is rhumb server running? another one is chosen with --host or RHUMB_HOST", Err: err}
}

// broken returns the error of an answer that ended early.
func (c *Client) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &rhumb.Error{Code: rhumb.Unavailable, Msg: fmt.Sprintf("the connection to %s broke: %v", c.host, err), Err: err}
}
