package proxy

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/socket"
)

// connState is what the HTTP server last said about a connection.
type connState struct {
	state atomic.Int32 // http.ConnState
	since atomic.Int64 // Unix nanoseconds
}

// connTable knows the HTTP server's connections, those that were upgraded excepted. http.Server.Shutdown is not used to end them: it
// drops a request that arrives while it closes idle connections.
type connTable struct {
	mu    sync.Mutex
	conns map[*clientConn]struct{}
}

func (t *connTable) note(c net.Conn, st http.ConnState) {
	cc, ok := c.(*clientConn)
	if !ok {
		return
	}
	cc.state.state.Store(int32(st))
	cc.state.since.Store(time.Now().UnixNano())
	switch st {
	case http.StateIdle:
		if cc.guard != nil && !cc.guard.idle() {
			cc.Close()
		}
	case http.StateHijacked:
		cc.unwatch()
		t.forget(cc)
	case http.StateClosed:
		t.forget(cc)
	case http.StateNew:
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.conns == nil {
			t.conns = map[*clientConn]struct{}{}
		}
		t.conns[cc] = struct{}{}
	}
}

func (t *connTable) forget(c *clientConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// closeQuiet closes the connections on which no request has been for the time, and gives how many are left.
func (t *connTable) closeQuiet(quiet time.Duration) (left int) {
	return t.closeWhere(func(c *clientConn) bool { return c.quiet(quiet) })
}

// roomTime is how long a kept-alive connection must have been without a request to be closed for the sake of a new one.
const roomTime = 5 * time.Second

// makeRoom closes connections of a full listener that nobody uses.
func (t *connTable) makeRoom(b socket.Binding) {
	t.closeWhere(func(c *clientConn) bool { return c.bound == b && c.quiet(roomTime) })
}

// quiet tells whether there has been no request for the time.
func (c *clientConn) quiet(d time.Duration) bool {
	return http.ConnState(c.state.state.Load()) != http.StateActive && time.Since(time.Unix(0, c.state.since.Load())) >= d
}

func (t *connTable) closeWhere(is func(*clientConn) bool) (left int) {
	t.mu.Lock()
	var those []*clientConn
	for c := range t.conns {
		if is(c) {
			those = append(those, c)
		}
	}
	left = len(t.conns) - len(those)
	t.mu.Unlock()
	for _, c := range those {
		c.Close()
	}
	return left
}
