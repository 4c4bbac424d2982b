package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// upstreamIdle is how long an idle connection to an endpoint is kept. It is below the 5 s after which Node, uvicorn
// and Apache close theirs; gunicorn's 2 s is not, but requests that could suffer don't use idle connections (see send).
const upstreamIdle = 4 * time.Second

// upstreamConn is a connection to an endpoint, which gives its place back when it is closed.
type upstreamConn struct {
	*net.TCPConn
	once   sync.Once
	places slots
}

// Close closes it.
func (c *upstreamConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(c.places.release)
	return err
}

// dial connects to an endpoint. Its errors are dialErrors, or errBusy.
func (b *balancer) dial(ctx context.Context, addr string) (*upstreamConn, error) {
	if !b.upstreams.take() {
		b.closeIdle()
		if !b.upstreams.take() {
			return nil, errBusy
		}
	}
	d := net.Dialer{Timeout: b.limits.DialTime}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		b.upstreams.release()
		return nil, &dialError{err}
	}
	return &upstreamConn{TCPConn: c.(*net.TCPConn), places: b.upstreams}, nil
}

// sweepTime is the least time between two rounds over all endpoints' idle connections.
const sweepTime = 50 * time.Millisecond

// closeIdle closes the idle connections to all endpoints: there is no place for another one.
func (b *balancer) closeIdle() {
	last, now := b.swept.Load(), time.Now().UnixNano()
	if now-last < int64(sweepTime) || !b.swept.CompareAndSwap(last, now) {
		return
	}
	for _, t := range b.served.load().targets {
		t.http.closeIdle()
	}
}

// upstream is the HTTP connections to one target. Each target has its own, so that its idle ones can be closed when
// it drains. They are made on first use.
type upstream struct{ made atomic.Pointer[transports] }

type transports struct{ reused, fresh *http.Transport }

func (u *upstream) transports(b *balancer, t *target) *transports {
	if ts := u.made.Load(); ts != nil {
		return ts
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := b.dial(ctx, t.addr)
		if err != nil {
			return nil, err // not c: a nil *net.TCPConn would be a net.Conn
		}
		return c, nil
	}
	base := func() *http.Transport {
		return &http.Transport{
			DialContext:            dial,
			DisableCompression:     true, // what the client accepts is between it and the replica
			MaxIdleConnsPerHost:    256,
			IdleConnTimeout:        upstreamIdle,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 1 << 20,
		}
	}
	ts := &transports{reused: base(), fresh: base()}
	// No connection is kept, but none is announced as the last either: a replica that closes at once, with a part
	// of the body unread, resets the connection.
	ts.fresh.MaxIdleConnsPerHost = -1
	ts.fresh.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: c}, nil
	}
	u.made.CompareAndSwap(nil, ts)
	return u.made.Load()
}

// patientConn goes on to the answer when a replica has closed its side before it has read all of the body: the transport
// would report the failed write, and lose an answer that has arrived.
type patientConn struct {
	net.Conn
	deaf bool // only the transport's one writer uses it
}

// Write writes, or drops what nobody reads any more. If no answer comes either, reading tells.
func (c *patientConn) Write(b []byte) (int, error) {
	if c.deaf {
		return len(b), nil
	}
	n, err := c.Conn.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		c.deaf = true
		return len(b), nil
	}
	return n, err
}

// send does one request. An idle connection may be closed by the replica just as the request is written to it; the transport then
// repeats what may be repeated (GET, HEAD, OPTIONS, TRACE without a body). All else goes on a connection of its own: a
// dial costs some 50 µs here, a POST that is lost or done twice costs more.
func (u *upstream) send(b *balancer, t *target, r *http.Request) (*http.Response, error) {
	ts := u.transports(b, t)
	transport := ts.fresh
	if repeatable(r) {
		transport = ts.reused
	}
	out := r.WithContext(r.Context())
	url := *r.URL
	url.Scheme, url.Host = "http", t.addr
	out.URL = &url
	if r.Body != nil {
		out.Body = io.NopCloser(r.Body) // the transport closes it when dialing fails; another endpoint may want it yet
	}
	resp, err := transport.RoundTrip(out)
	if err == nil && resp.StatusCode < 100 { // the transport lets it through, and the server panics at it
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the replica answered with the status %d", resp.StatusCode)
	}
	return resp, err
}

func repeatable(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.Body == nil || r.Body == http.NoBody
	}
	return false
}

// closeIdle closes the idle connections, and those in use once they become idle.
func (u *upstream) closeIdle() {
	if ts := u.made.Load(); ts != nil {
		ts.reused.CloseIdleConnections()
	}
}
