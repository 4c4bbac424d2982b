// Package web serves HTTP: it reads requests strictly, forwards them to replicas, and says where they come from.
package web

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/bans"
	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/flow"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/limits"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/socket"
)

// Certificates is what the server asks about certificates.
type Certificates interface {
	// Good reports whether a host can be visited over TLS.
	Good(host string) bool
	// Challenge answers an ACME authority's request. It returns false if the request isn't one.
	Challenge(w http.ResponseWriter, r *http.Request) bool
}

// Deps is what a Server works with.
type Deps struct {
	Served       *atomic.Pointer[backend.Snapshot]
	Balancer     *backend.Balancer
	Certificates Certificates
	Trusted      []netip.Prefix // peers whose X-Forwarded-* are believed
	Bans         *bans.Book     // nil: no client is banned
	Limits       limits.Limits
	SlotKey      func() []byte // signs the cookies of sticky backends
	Standard     bool          // HTTP/1 is served by the standard library, as HTTP/2 is
	Access       io.Writer     // gets a line for each request to a backend with an access log; nil: there are no lines
	Log          *slog.Logger
}

// Server speaks HTTP on all connections of HTTP listeners.
type Server struct {
	deps     Deps
	servers  [2]webServer          // for connections that may have many streams, and for those that may have few
	reverse  httputil.ReverseProxy // which each request copies and completes
	conns    inbound.Conns
	clients  inbound.Clients
	streams  *limits.Streams
	talks    talks
	buffers  flow.AnswerBuffers
	encoders chain.Encoders
	budget   *limits.Budget // of memory, for buffered bodies
	slots    slots
	dates    dates
	requests sync.RWMutex // each request holds it for reading, also one that became a WebSocket; see finish
	leaving  atomic.Bool  // each answer asks its client to come back on another connection

	Testimonies Testimonies // for those who want to know what is seen of them
}

// New returns a server that serves nothing until Run.
func New(d Deps) *Server {
	s := &Server{deps: d, streams: limits.NewStreams(d.Limits), talks: talks{done: make(chan struct{})},
		slots: slots{d.SlotKey}, budget: limits.NewBudget(bufferBudget)}
	s.Testimonies.server = s
	s.reverse = httputil.ReverseProxy{
		Rewrite:    s.rewrite,
		BufferPool: &s.buffers,
		ErrorLog:   slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug), // mostly clients that left
	}
	s.servers = [2]webServer{s.newServer(manyStreams), s.newServer(fewStreams)}
	return s
}

// webServer is an http.Server and the queue of connections to it.
type webServer struct {
	*http.Server
	queue *connQueue
}

func (s *Server) newServer(streams int) webServer {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	queue := &connQueue{conns: make(chan *inbound.Conn), done: make(chan struct{})}
	return webServer{queue: queue, Server: &http.Server{
		Handler:           s,
		Protocols:         protocols,
		ReadHeaderTimeout: s.deps.Limits.HeaderTime,
		IdleTimeout:       s.deps.Limits.IdleTime,
		HTTP2:             http2Config(s.deps.Limits, streams),
		MaxHeaderBytes:    s.deps.Limits.Header,

		DisableGeneralOptionsHandler: true, // see ofTheServer
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ConnState: s.conns.Note,
		ErrorLog:  log.New(serverLog{s.deps.Log}, "", 0),
	}}
}

// serverLog logs the HTTP server's messages. Most are about single clients, which can cause as many as they like: they
// are for debugging. A panic is the proxy's own fault and an error.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(line, []byte("panic serving")) {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "HTTP server's message", "text", string(bytes.TrimSpace(line)))
	return len(line), nil
}

// http2Config bounds what one connection may have under way. The pings find connections that have sent a part of a
// frame and nothing since. Frames may have the size that every client knows; Go's own megabyte is announced, but many
// clients never look.
func http2Config(l limits.Limits, streams int) *http.HTTP2Config {
	return &http.HTTP2Config{MaxConcurrentStreams: streams, MaxReadFrameSize: 16 << 10,
		SendPingTimeout: l.HeaderTime * 3 / 4, PingTimeout: l.HeaderTime / 2}
}

// bufferBudget is how many bytes all buffered bodies may have together. Others then pass as they come.
const bufferBudget = 64 << 20

// InboundLimits returns the limits of one connection.
func InboundLimits(l limits.Limits) inbound.Limits {
	return inbound.Limits{Header: l.Header, Progress: l.Progress, ProgressTime: l.ProgressTime}
}

type connKey struct{}

// connOf returns the connection that a request came on.
func connOf(r *http.Request) *inbound.Conn { return r.Context().Value(connKey{}).(*inbound.Conn) }

// Run serves connections until CloseQuiet or Close. Requests are cut when ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var work sync.WaitGroup
	var errs [len(s.servers)]error
	for i, server := range s.servers {
		server.BaseContext = func(net.Listener) context.Context { return ctx }
		work.Go(func() { errs[i] = server.Server.Serve(server.queue) })
	}
	s.talks.run(ctx)
	work.Wait()
	for _, err := range errs {
		if err != nil && !isEnd(err) {
			return err
		}
	}
	return nil
}

// Serve takes an accepted connection. It returns as soon as the connection has an owner.
func (s *Server) Serve(c *inbound.Conn) {
	peer := addrOf(c.RemoteAddr()).Addr()
	client, server := s.server(peer)
	c.Watch(InboundLimits(s.deps.Limits), client, s.deps.Log)
	s.conns.Note(c, http.StateNew)
	if s.deps.Standard || c.Agreed() == inbound.OnHTTP2 {
		// Until the server knows whether this is HTTP/2 it sets no deadline of its own.
		_ = c.SetReadDeadline(time.Now().Add(s.deps.Limits.HeaderTime))
		c.Guard(InboundLimits(s.deps.Limits))
		server.take(c, &s.conns)
		return
	}
	if !s.talks.begin(newConversation(s, c, peer, server)) {
		_ = c.Close()
		s.conns.Note(c, http.StateClosed)
	}
}

// take serves a connection, unless the server has ended.
func (w *webServer) take(c *inbound.Conn, conns *inbound.Conns) {
	select {
	case w.queue.conns <- c:
	case <-w.queue.done:
		_ = c.Close()
		conns.Note(c, http.StateClosed)
	}
}

// notePanic logs a fault of the proxy's own, which ends one connection and no other.
func notePanic(log *slog.Logger, fault any) {
	log.Error("panic serving a connection", "text", fault, "stack", string(debug.Stack()))
}

// MakeRoom closes idle connections that came in at the address; the zero Binding is any address.
func (s *Server) MakeRoom(at socket.Binding) { s.conns.MakeRoom(at) }

// Leave has each answer from now on ask its client to come back on another connection.
func (s *Server) Leave() { s.leaving.Store(true) }

// CloseQuiet closes connections once they have been quiet for the given time, and waits for all of them to end, or for
// ctx. Then it waits for the requests.
func (s *Server) CloseQuiet(ctx context.Context, quiet time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.conns.CloseQuiet(quiet) > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	for _, server := range s.servers {
		_ = server.queue.Close() // returns nil
	}
	s.talks.end()
	s.finish()
}

// Close closes all connections.
func (s *Server) Close() {
	for _, server := range s.servers {
		_ = server.Close() // the connections are cut anyway
	}
	s.talks.end()
}

// finish waits for the requests that have begun. A WaitGroup would not do: a stream that was already read may begin its
// request after the connection has gone.
func (s *Server) finish() {
	s.requests.Lock()
	defer s.requests.Unlock()
}

// ServeHTTP answers one request, mostly by forwarding it to a replica.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.RLock()
	defer s.requests.RUnlock()
	if r.Method == "PRI" { // half a preface of HTTP/2, which the server takes for a request of that version
		page.Bad().Write(w, r)
		return
	}
	defer s.noteEnd(r)
	if s.leaving.Load() && r.Header.Get("Upgrade") == "" {
		w.Header().Set("Connection", "close")
	}
	snap := s.deps.Served.Load()
	at, known := placeOf(snap, connOf(r).Bound, r.Host, r.URL.Path)
	a := newAccess(s, snap, &at, w, r)
	if a != nil {
		defer a.end()
		w = a
	}
	if refuses(s, w, r, a) {
		return
	}
	if r.ProtoMajor == 2 {
		leave, ok := s.admit(r, at.backend)
		if !ok {
			page.Refuse(w)
			return
		}
		defer leave()
	}
	s.answer(snap, w, r, at, known)
}

// answer answers a request that has a place: it forwards it to the backend, if one is known, or refuses it.
func (s *Server) answer(snap *backend.Snapshot, w http.ResponseWriter, r *http.Request, at place, known bool) {
	p := inbound.NewProgress(w, r, InboundLimits(s.deps.Limits))
	defer p.End()
	if suspect(r) {
		page.Bad().Write(p, r)
		return
	}
	if ofTheServer(p, r) {
		return
	}
	if s.Testimonies.answers(r.URL.Path) {
		s.Testimonies.answer(p, r)
		return
	}
	hsts, done := s.entrance(snap, p, r)
	switch {
	case done:
	case !known:
		page.NotFound(r).Write(p, r)
	case r.Method == http.MethodConnect:
		page.NotAllowed().Write(p, r)
	case at.evades:
		page.Bad().Write(p, r)
	default:
		a, _ := w.(*access) // nil: the request isn't logged
		f := &forwarding{server: s, backend: at.backend, hsts: hsts, body: p.Body(), access: a,
			limits: snap.Limits(at.backend), options: options{place: at, in: r}}
		defer f.pass.End()
		if f.admitted(snap, p, r) && f.options.enter(s, snap, a, p) {
			f.forward(p)
		}
	}
}

// noteEnd lets the connection of HTTP/2 know that a request has ended.
func (s *Server) noteEnd(r *http.Request) {
	if r.ProtoMajor == 2 {
		connOf(r).NoteEnd(r.Context().Err() != nil)
	}
}
