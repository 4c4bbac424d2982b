package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"rhumb/proxy/internal/limits"
)

// idleTime is how long an idle connection to an endpoint is kept. It is below the 5 s after which Node, uvicorn and
// Apache close theirs. gunicorn's 2 s is shorter, but requests that could suffer don't use idle connections (see Send).
const idleTime = 4 * time.Second

// Conn is a connection to an endpoint. Closing it releases its place.
type Conn struct {
	*net.TCPConn
	once   sync.Once
	places limits.Places
}

// Close closes the connection.
func (c *Conn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(c.places.Release)
	return err
}

// Dial connects to an endpoint. It returns a DialError or ErrBusy.
func (b *Balancer) Dial(ctx context.Context, e *Endpoint) (*Conn, error) {
	return b.dial(ctx, e, e.attempt)
}

// attempt is one attempt to connect, within the given time.
type attempt func(ctx context.Context, limit time.Duration) (net.Conn, error)

func (b *Balancer) dial(ctx context.Context, e *Endpoint, once attempt) (*Conn, error) {
	if !b.conns.Take() {
		b.closeAllIdle()
		if !b.conns.Take() {
			return nil, ErrBusy
		}
	}
	c, err := e.connect(ctx, b.limits.DialTime, once)
	if err != nil {
		b.conns.Release()
		return nil, &DialError{err}
	}
	return &Conn{TCPConn: c.(*net.TCPConn), places: b.conns}, nil
}

// firstTry is how long the first attempt to connect may take; each further one may take twice as long. On a link that
// loses nothing, only an endpoint whose queue of connections is full lets a SYN go unanswered, and the kernel would
// repeat it only after a second.
const firstTry = 10 * time.Millisecond

// connect connects to the endpoint within limit, one connection at a time. When a hold ends, many callers connect at
// once, and some servers queue only five connections until they accept them. A connection that the server's kernel
// drops after it has answered the SYN looks open here, and the request in it is answered only after retransmissions,
// each of which takes twice as long as the one before.
func (e *Endpoint) connect(ctx context.Context, limit time.Duration, once attempt) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case e.connecting <- struct{}{}:
		defer func() { <-e.connecting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for try := firstTry; ; try *= 2 {
		c, err := once(ctx, try)
		if !timedOut(err) || ctx.Err() != nil {
			return c, err
		}
	}
}

// timedOut reports whether an attempt has found no answer in its time.
func timedOut(err error) bool {
	var failure net.Error
	return errors.As(err, &failure) && failure.Timeout()
}

// attempt connects from an address of this machine.
func (e *Endpoint) attempt(ctx context.Context, limit time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: limit}
	return d.DialContext(ctx, "tcp", e.Addr)
}

// closeEvery is the least time between two rounds over all endpoints' idle connections.
const closeEvery = 50 * time.Millisecond

// closeAllIdle closes the idle connections to all endpoints, to make room for another one.
func (b *Balancer) closeAllIdle() {
	last, now := b.idleClosed.Load(), time.Now().UnixNano()
	if now-last < int64(closeEvery) || !b.idleClosed.CompareAndSwap(last, now) {
		return
	}
	for _, e := range b.served.Load().endpoints {
		e.closeIdle()
	}
}

// transports are the HTTP connections to one endpoint. Each endpoint has its own, so that its idle connections can be
// closed when it drains.
type transports struct{ reused, fresh *http.Transport }

// transportsTo returns the transports of the endpoint, which are made on first use.
func (b *Balancer) transportsTo(e *Endpoint) *transports {
	if ts := e.transports.Load(); ts != nil {
		return ts
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := b.Dial(ctx, e)
		if err != nil {
			return nil, err // not c: a nil *Conn would be a net.Conn
		}
		return c, nil
	}
	base := func() *http.Transport {
		return &http.Transport{
			DialContext:            dial,
			DisableCompression:     true, // what the client accepts is between it and the replica
			MaxIdleConnsPerHost:    256,
			IdleConnTimeout:        idleTime,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 1 << 20,
		}
	}
	ts := &transports{reused: base(), fresh: base()}
	// No connection is kept, but none is announced as the last either: a replica that closes at once, with a part of
	// the body unread, resets the connection.
	ts.fresh.MaxIdleConnsPerHost = -1
	ts.fresh.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: c}, nil
	}
	e.transports.CompareAndSwap(nil, ts)
	return e.transports.Load()
}

// patientConn goes on to the answer when a replica has closed its side before it has read all of the body. The
// transport would report the failed write, and lose an answer that has arrived.
type patientConn struct {
	net.Conn
	deaf bool // only the transport's one writer uses it
}

// Write writes, or drops what the replica doesn't read any more. If no answer comes either, reading fails.
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

// Send sends one request to the endpoint. A replica may close an idle connection just as the request is written to it;
// the transport then repeats what may be repeated (GET, HEAD, OPTIONS, TRACE without a body). All other requests get a
// connection of their own: a dial costs some 50 µs here, a POST that is lost or done twice costs more.
func (b *Balancer) Send(e *Endpoint, r *http.Request) (*http.Response, error) {
	ts := b.transportsTo(e)
	transport := ts.fresh
	if repeatable(r) {
		transport = ts.reused
	}
	out := r.WithContext(r.Context())
	url := *r.URL
	url.Scheme, url.Host = "http", e.Addr
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
func (e *Endpoint) closeIdle() {
	e.links.close()
	if ts := e.transports.Load(); ts != nil {
		ts.reused.CloseIdleConnections()
	}
}
