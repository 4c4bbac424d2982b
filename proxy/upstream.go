package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// upstreamIdle is how long an idle connection to an endpoint is kept. It is below the 5 s after which Node, uvicorn
// and Apache close theirs; gunicorn's 2 s is not, but requests that could suffer don't use idle connections (see send).
const upstreamIdle = 4 * time.Second

// upstream is the HTTP connections to one target. Each target has its own, so that its idle ones can be closed when
// it drains. They are made on first use.
type upstream struct{ made atomic.Pointer[transports] }

type transports struct{ reused, fresh *http.Transport }

func (u *upstream) transports(b *balancer, t *target) *transports {
	if ts := u.made.Load(); ts != nil {
		return ts
	}
	base := func() *http.Transport {
		return &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := b.dial(ctx, t.addr)
				if err != nil {
					return nil, err // not c: a nil *net.TCPConn would be a net.Conn
				}
				return c, nil
			},
			DisableCompression:     true, // what the client accepts is between it and the replica
			MaxIdleConnsPerHost:    256,
			IdleConnTimeout:        upstreamIdle,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 1 << 20,
		}
	}
	ts := &transports{reused: base(), fresh: base()}
	ts.fresh.DisableKeepAlives = true
	u.made.CompareAndSwap(nil, ts)
	return u.made.Load()
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
	return transport.RoundTrip(out)
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
