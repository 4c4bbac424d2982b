package limits

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// streamWait is how long a stream waits for its place.
const streamWait = 5 * time.Second

// Streams counts the requests of HTTP/2 that are under way. A request of HTTP/1 is bounded with its connection, and so
// is one request of each connection of HTTP/2. All others take places here; each of them also stands for a connection
// to an endpoint. A client that has all its places at a backend waits for the next one, while other clients don't.
type Streams struct {
	limits Limits

	mu       sync.Mutex
	all      int
	backends map[string]*streamCount
	clients  map[StreamKey]*streamCount
}

// StreamKey is a client address at a backend. The zero address is a client that isn't counted.
type StreamKey struct {
	Backend string
	Client  netip.Addr
}

// streamCount counts the streams of a backend, or of a client at a backend. Only the streams of clients are queued.
type streamCount struct {
	running int
	waiting int
	queue   []chan struct{} // closed with the place that its stream gets
}

// NewStreams returns a counter without streams.
func NewStreams(l Limits) *Streams {
	return &Streams{limits: l, backends: map[string]*streamCount{}, clients: map[StreamKey]*streamCount{}}
}

// Enter takes a place, and reports whether there was one, for Leave to give back. If the client has all its places,
// Enter waits for the next one.
func (s *Streams) Enter(ctx context.Context, k StreamKey) bool {
	s.mu.Lock()
	be, cl := s.count(k)
	switch {
	case !k.Client.IsValid() || cl.running < s.limits.ClientStreams:
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

// wait waits for the place, and releases it if it comes too late.
func (s *Streams) wait(ctx context.Context, k StreamKey, place chan struct{}) bool {
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
	s.release(k, be, cl) // the place has come at this very moment
	return false
}

// Leave releases a place.
func (s *Streams) Leave(k StreamKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	be, cl := s.count(k)
	s.release(k, be, cl)
}

// release passes a place on to the stream of the same client that has waited longest, or frees it. The caller holds mu.
func (s *Streams) release(k StreamKey, be, cl *streamCount) {
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
func (s *Streams) count(k StreamKey) (be, cl *streamCount) {
	if be = s.backends[k.Backend]; be == nil {
		be = &streamCount{}
		s.backends[k.Backend] = be
	}
	if cl = s.clients[k]; cl == nil {
		cl = &streamCount{}
		s.clients[k] = cl
	}
	return be, cl
}

// forget drops counts that are zero. The caller holds mu.
func (s *Streams) forget(k StreamKey, be, cl *streamCount) {
	if be.running+be.waiting == 0 {
		delete(s.backends, k.Backend)
	}
	if cl.running+cl.waiting == 0 {
		delete(s.clients, k)
	}
}
