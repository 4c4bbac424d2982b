package proxy

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rhumb/proxy/internal/inbound"
)

// streamWait is how long a stream waits for its place.
const streamWait = 5 * time.Second

// streams counts the requests of HTTP/2 that are under way. A request of HTTP/1 is bounded with its connection, and so
// is one request of each connection of HTTP/2. The others take places here. Each of those stands for a connection to an
// endpoint too. A client that has as many as it may have at a backend waits for the next. Other clients don't.
type streams struct {
	limits Limits

	mu       sync.Mutex
	all      int
	backends map[string]*streamCount
	clients  map[streamKey]*streamCount
}

// streamKey is a client address at a backend.
type streamKey struct {
	backend string
	client  netip.Addr
}

// streamCount is the streams of a backend, or of a client at one. Only those of clients are queued.
type streamCount struct {
	running int
	waiting int
	queue   []chan struct{} // closed with the place that its stream gets
}

func newStreams(l Limits) *streams {
	return &streams{limits: l, backends: map[string]*streamCount{}, clients: map[streamKey]*streamCount{}}
}

// enter takes a place, and waits for it if it is the client that has too many. The zero address is a client that isn't
// counted. It reports whether there was a place, for leave to give back.
func (s *streams) enter(ctx context.Context, k streamKey) bool {
	s.mu.Lock()
	be, cl := s.count(k)
	switch {
	case !k.client.IsValid() || cl.running < s.limits.ClientStreams:
		ok := s.all < s.limits.Streams && be.running < s.limits.BackendStreams
		if ok {
			s.all++
			be.running++
			cl.running++
		}
		s.forget(k, be, cl)
		s.mu.Unlock()
		return ok
	case be.waiting >= s.limits.Waiting || cl.waiting >= s.limits.ClientStreams:
		s.mu.Unlock()
		return false
	}
	place := make(chan struct{})
	cl.queue = append(cl.queue, place)
	be.waiting++
	cl.waiting++
	s.mu.Unlock()
	return s.wait(ctx, k, place)
}

// wait waits for the place, and gives it back if it comes too late.
func (s *streams) wait(ctx context.Context, k streamKey, place chan struct{}) bool {
	timer := time.NewTimer(streamWait)
	defer timer.Stop()
	ok := false
	select {
	case <-place:
		ok = true
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	be, cl := s.count(k)
	be.waiting--
	cl.waiting--
	if ok {
		return true
	}
	for i, p := range cl.queue {
		if p == place {
			cl.queue = append(cl.queue[:i], cl.queue[i+1:]...)
			s.forget(k, be, cl)
			return false
		}
	}
	s.release(k, be, cl) // it was given the place just now
	return false
}

// leave gives a place back.
func (s *streams) leave(k streamKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	be, cl := s.count(k)
	s.release(k, be, cl)
}

// release passes a place on to the stream of the same client that has waited longest. The caller holds mu.
func (s *streams) release(k streamKey, be, cl *streamCount) {
	if len(cl.queue) > 0 {
		close(cl.queue[0])
		cl.queue = cl.queue[1:]
		return
	}
	s.all--
	be.running--
	cl.running--
	s.forget(k, be, cl)
}

// count returns the counts of a key. The caller holds mu.
func (s *streams) count(k streamKey) (be, cl *streamCount) {
	if be = s.backends[k.backend]; be == nil {
		be = &streamCount{}
		s.backends[k.backend] = be
	}
	if cl = s.clients[k]; cl == nil {
		cl = &streamCount{}
		s.clients[k] = cl
	}
	return be, cl
}

// forget drops counts that are zero. The caller holds mu.
func (s *streams) forget(k streamKey, be, cl *streamCount) {
	if be.running+be.waiting == 0 {
		delete(s.backends, k.backend)
	}
	if cl.running+cl.waiting == 0 {
		delete(s.clients, k)
	}
}

// Streams that a connection of HTTP/2 may have at a time. The client is told when the connection begins, and queues the
// rest itself.
const (
	manyStreams = 100
	fewStreams  = 16

	crowdOfOne = 16  // connections of one address from which on the next get few
	crowd      = 500 // connections of all
)

// server returns the server for a connection, and the client that it is counted for: nil for a trusted proxy, which
// brings the requests of many.
func (h *httpServer) server(c *inbound.Conn) (*inbound.Client, *webServer) {
	peer := addrPortOf(c.RemoteAddr().String()).Addr()
	if h.trusts(peer) {
		return nil, &h.servers[0]
	}
	if peer.Is6() {
		peer = netip.PrefixFrom(peer, 64).Masked().Addr() // one customer's, mostly
	}
	client, its, all := h.clients.Enter(peer)
	if its > crowdOfOne || all > crowd {
		return client, &h.servers[1]
	}
	return client, &h.servers[0]
}

// admit takes the place of a request of HTTP/2, and reports whether there was one, to leave again.
func (h *httpServer) admit(r *http.Request, backend string) (leave func(), ok bool) {
	c := connOf(r)
	if c.Begin() {
		return c.End, true
	}
	k := streamKey{backend, c.Client()}
	return func() { h.streams.leave(k) }, h.streams.enter(r.Context(), k)
}
