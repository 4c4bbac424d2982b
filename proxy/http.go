package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/page"
)

// httpServer speaks HTTP on all connections of HTTP listeners.
type httpServer struct {
	balancer *balancer
	certs    Certificates
	trusted  []netip.Prefix
	log      *slog.Logger
	limits   Limits
	servers  [2]webServer // for connections that may have many streams, and for those that may have few
	reverse  *httputil.ReverseProxy
	conns    inbound.Conns
	clients  inbound.Clients
	streams  *streams
	requests sync.RWMutex // each request holds it for reading, also one that became a WebSocket; see finish
	leaving  atomic.Bool  // each answer asks its client to come back on another connection
}

func newHTTPServer(b *balancer, o Options, certs Certificates) *httpServer {
	h := &httpServer{balancer: b, certs: certs, trusted: o.TrustedProxies, log: o.Log, limits: b.limits,
		streams: newStreams(b.limits)}
	h.reverse = &httputil.ReverseProxy{
		Rewrite:        h.rewrite,
		Transport:      roundTripper{b},
		ModifyResponse: insist,
		BufferPool:     &answerBuffers{},
		ErrorHandler:   h.failed,
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // mostly clients that left
	}
	h.servers = [2]webServer{h.newServer(manyStreams), h.newServer(fewStreams)}
	return h
}

// webServer is an http.Server, and the way to it.
type webServer struct {
	*http.Server
	queue *connQueue
}

func (h *httpServer) newServer(streams int) webServer {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return webServer{queue: &connQueue{conns: make(chan *inbound.Conn), done: make(chan struct{})}, Server: &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: h.limits.HeaderTime,
		IdleTimeout:       h.limits.IdleTime,
		HTTP2:             http2Config(h.limits, streams),
		MaxHeaderBytes:    h.limits.Header,

		DisableGeneralOptionsHandler: true, // see ofTheServer
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:                    h.conns.Note,
		ErrorLog:                     log.New(serverLog{h.log}, "", 0),
	}}
}

// serverLog logs what the HTTP server says: of single clients, which may say what they like, only on request; of a panic, which is
// the proxy's own fault, always.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(line, []byte("panic serving")) {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "HTTP server's message", "text", string(bytes.TrimSpace(line)))
	return len(line), nil
}

// http2Config bounds what one connection may have under way. The pings find out who has sent a part of a frame and keeps silent since.
func http2Config(l Limits, streams int) *http.HTTP2Config {
	return &http.HTTP2Config{MaxConcurrentStreams: streams, SendPingTimeout: l.HeaderTime * 3 / 4, PingTimeout: l.HeaderTime / 2}
}

type connKey struct{}

// connOf gives the connection that a request came on.
func connOf(r *http.Request) *inbound.Conn { return r.Context().Value(connKey{}).(*inbound.Conn) }

// serve takes an accepted connection. It returns as soon as the connection is the server's.
func (h *httpServer) serve(c *inbound.Conn) {
	client, server := h.server(c)
	c.ExpectHTTP(h.limits.inbound(), client, h.log)
	// Until the server knows whether this is HTTP/2 it sets no deadline of its own.
	_ = c.SetReadDeadline(time.Now().Add(h.limits.HeaderTime))
	h.conns.Note(c, http.StateNew)
	select {
	case server.queue.conns <- c:
	case <-server.queue.done:
		c.Close()
		h.conns.Note(c, http.StateClosed)
	}
}

// ServeHTTP leads one request to a replica.
func (h *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.requests.RLock()
	defer h.requests.RUnlock()
	if r.Method == "PRI" { // half a preface of HTTP/2, which the server takes for a request of that version
		page.Bad().Write(w, r)
		return
	}
	defer h.noteEnd(r)
	if h.leaving.Load() && r.Header.Get("Upgrade") == "" {
		w.Header().Set("Connection", "close")
	}
	s := h.balancer.served.load()
	name, known := h.backendOf(s, r)
	if r.ProtoMajor == 2 {
		leave, ok := h.admit(r, name)
		if !ok {
			page.Refuse(w)
			return
		}
		defer leave()
	}
	p := inbound.NewProgress(w, r, h.limits.inbound())
	defer p.End()
	if suspect(r) {
		page.Bad().Write(p, r)
		return
	}
	if ofTheServer(p, r) {
		return
	}
	insist, done := h.entrance(s, p, r)
	switch {
	case done:
	case !known:
		page.NotFound(r).Write(p, r)
	case r.Method == http.MethodConnect:
		page.NotAllowed().Write(p, r)
	default:
		h.forward(p, r, name, insist)
	}
}

// closeQuiet closes connections once they have been quiet for the given time, and waits for all of them to end, or for
// ctx. Then it waits for the requests.
func (h *httpServer) closeQuiet(ctx context.Context, quiet time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for h.conns.CloseQuiet(quiet) > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	for _, s := range h.servers {
		_ = s.queue.Close()
	}
	h.finish()
}

// finish waits for the requests that have begun. A WaitGroup would not do: a stream that was already read may begin its
// request after the connection has gone.
func (h *httpServer) finish() {
	h.requests.Lock()
	defer h.requests.Unlock()
}

// forward sends a request to a replica of the backend.
func (h *httpServer) forward(p *inbound.Progress, r *http.Request, name, insist string) {
	c := &call{backend: name, body: p.Body(), insist: insist}
	defer c.end()
	out, err := p.Request(context.WithValue(r.Context(), callKey{}, c))
	if err != nil {
		h.failed(p, out, err)
		return
	}
	h.reverse.ServeHTTP(p, out)
}

// noteEnd tells the connection of HTTP/2 that a request has ended.
func (h *httpServer) noteEnd(r *http.Request) {
	if r.ProtoMajor == 2 {
		connOf(r).NoteEnd(r.Context().Err() != nil)
	}
}

// backendOf gives the backend of the request's listener, or of the rule that fits.
func (h *httpServer) backendOf(s *snapshot, r *http.Request) (string, bool) {
	l, ok := s.listeners[connOf(r).Bound]
	switch {
	case !ok || l.Protocol != rhumb.HTTP && l.Protocol != rhumb.HTTPS:
		return "", false // the listener is gone, or speaks something else now; this connection was kept alive
	case l.Backend != "":
		return l.Backend, true
	}
	return s.rules.Match(r.Host, r.URL.Path)
}

// call is one request on its way. The round tripper fills it.
type call struct {
	backend string
	body    *inbound.Body // nil: the request has none
	insist  string        // Strict-Transport-Security of the answer; "": as the replica says
	lease   lease
	got     bool
}

type callKey struct{}

// clientFailed tells whether it was the client that broke off.
func (c *call) clientFailed(ctx context.Context) bool {
	return ctx.Err() != nil || c.body != nil && c.body.Cut()
}

func (c *call) end() {
	if c.got {
		c.lease.drop()
	}
}

// roundTripper sends a request to one of the endpoints of its call's backend.
type roundTripper struct{ balancer *balancer }

func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	c := r.Context().Value(callKey{}).(*call)
	var resp *http.Response
	err := t.balancer.reach(r.Context(), c.backend, func(l lease) error {
		var err error
		sent := time.Now()
		resp, err = l.http.send(t.balancer, l.target, r)
		if err != nil {
			if !errors.As(err, new(*dialError)) && !errors.Is(err, errBusy) && !c.clientFailed(r.Context()) {
				l.release.errors.Add(1)
				l.backend.cut.Add(1)
			}
			return err
		}
		l.release.answered(time.Since(sent))
		if resp.StatusCode >= 500 {
			l.release.errors.Add(1)
		}
		c.lease, c.got = l, true
		if both, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
			resp.Body = upgrade(both, l)
		} else {
			resp.Body = &answerBody{ReadCloser: resp.Body, ctx: r.Context(), backend: l.backend}
		}
		return nil
	})
	return resp, err
}

// answerBody is the body of a replica's answer. It counts the answers that break off.
type answerBody struct {
	io.ReadCloser
	ctx     context.Context
	backend *backendCounters
}

// Read reads what the replica says.
func (a *answerBody) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if err != nil && err != io.EOF && a.ctx.Err() == nil {
		a.backend.cut.Add(1)
	}
	return n, err
}

// failed answers a request that got no answer from a replica.
func (h *httpServer) failed(w http.ResponseWriter, r *http.Request, err error) {
	c := r.Context().Value(callKey{}).(*call)
	stack := "The service"
	if be := h.balancer.served.load().backends[c.backend]; be != nil && be.spec.Stack != "" {
		stack = be.spec.Stack
	}
	var answer page.Page
	switch {
	case c.body != nil && c.body.Slow():
		answer = page.TooSlow()
	case c.body != nil && c.body.Malformed():
		answer = page.Bad()
	case c.clientFailed(r.Context()):
		panic(http.ErrAbortHandler) // it is gone, or the proxy's time is over
	case errors.Is(err, errCrowded):
		answer = page.Crowded(stack)
	case errors.Is(err, errBusy):
		answer = page.Busy(stack)
	case errors.Is(err, errVain), errors.Is(err, errNoBackend):
		answer = page.Unready(stack)
	default:
		h.log.Debug("request failed", "backend", c.backend, "error", err)
		answer = page.Failed(stack)
	}
	answer.Write(w, r)
}

// connQueue is the net.Listener through which accepted connections reach the HTTP server.
type connQueue struct {
	conns chan *inbound.Conn
	done  chan struct{}
	once  sync.Once
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

func (q *connQueue) Addr() net.Addr { return &net.TCPAddr{} }
