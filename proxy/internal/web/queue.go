package web

import (
	"errors"
	"net"
	"net/http"
	"sync"

	"rhumb/proxy/internal/inbound"
)

// connQueue is the net.Listener through which accepted connections reach the HTTP server.
type connQueue struct {
	conns chan *inbound.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr implements net.Listener.
func (q *connQueue) Addr() net.Addr { return &net.TCPAddr{} }

// isEnd reports whether Serve has returned because the queue or the server was closed.
func isEnd(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed)
}
