package inbound

import (
	"net"
	"net/http"
	"sync"
	"time"

	"rhumb/proxy/internal/socket"
)

// Conns knows the HTTP server's connections, except upgraded ones. http.Server.Shutdown is not used to end them: it
// drops a request that arrives while it closes idle connections.
type Conns struct {
	mu    sync.Mutex
	conns map[*Conn]struct{}
}

// Note is the HTTP server's ConnState.
func (t *Conns) Note(c net.Conn, st http.ConnState) {
	cc, ok := c.(*Conn)
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
		setUserTimeout(cc.TCPConn, 0) // an upgraded connection may be as slow as it likes
		t.forget(cc)
	case http.StateClosed:
		t.forget(cc)
	case http.StateNew:
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.conns == nil {
			t.conns = map[*Conn]struct{}{}
		}
		t.conns[cc] = struct{}{}
	}
}

func (t *Conns) forget(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// CloseQuiet closes the connections without a request for the given time, and returns how many are left.
func (t *Conns) CloseQuiet(quiet time.Duration) (left int) {
	return t.closeWhere(func(c *Conn) bool { return c.state.quiet(quiet) })
}

// roomTime is how long a kept-alive connection must have been without a request to be closed to make room.
const roomTime = 5 * time.Second

// MakeRoom closes kept-alive connections without a request that came in at the address; the zero Binding is any
// address.
func (t *Conns) MakeRoom(at socket.Binding) {
	t.closeWhere(func(c *Conn) bool { return c.Bound.In(at) && c.state.quiet(roomTime) })
}

func (t *Conns) closeWhere(is func(*Conn) bool) (left int) {
	t.mu.Lock()
	var those []*Conn
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
