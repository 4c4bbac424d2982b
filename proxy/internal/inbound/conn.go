// Package inbound is the connections of clients, and what they may do: what they say has one reading only, they keep moving, and
// they may speak TLS.
package inbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/socket"
)

// Conn is an accepted connection that gives its places back when it is closed.
type Conn struct {
	*net.TCPConn
	Bound   socket.Binding
	once    sync.Once
	release func()
	log     *slog.Logger
	state   connState
	guard   *guard            // nil: not HTTP
	early   []byte            // of another protocol, which the server has read already
	tls     *tls.Conn         // nil: in clear
	name    string            // that the client asked for in its handshake
	leaf    *x509.Certificate // that it was shown; nil: in clear, or the session was resumed
	ending  atomic.Bool
	stopped atomic.Bool   // the server wants no more from the read that is under way
	wake    chan struct{} // has an element after a change of ending and stopped
	served  int64         // requests of HTTP/1 that reached the handler
	pace    pace
	resets  resets
	sent    atomic.Int64
	excess  int64       // of frames of HTTP/2, at the last look
	client  *Client     // nil: not counted
	busy    atomic.Bool // HTTP/2: the one request that needs no place but the connection's is under way
}

// New gives the connection that was accepted on the socket that is bound so. release is called once, when it is closed.
func New(c *net.TCPConn, bound socket.Binding, release func()) *Conn {
	return &Conn{TCPConn: c, Bound: bound, release: release}
}

// Limits bounds what a client of HTTP can make a connection spend.
type Limits struct {
	Header       int           // bytes of a request's header
	Progress     int           // bytes that must move within ProgressTime
	ProgressTime time.Duration // in which a client has to move them
}

// ExpectHTTP has the connection read through a guard from now on, and watches that its client takes what it is sent.
// The client, if any, is left when the connection is closed.
func (c *Conn) ExpectHTTP(l Limits, client *Client, log *slog.Logger) {
	c.client, c.log = client, log
	c.watch(l)
	c.wake = make(chan struct{}, 1)
	c.guard = &guard{max: l.Header + 8<<10}
	if c.tls != nil {
		c.guard.agreed = c.tls.ConnectionState().NegotiatedProtocol
	}
}

// Suspect counts a request of HTTP/1 that reached the handler, and tells whether the guard has refused it already.
func (c *Conn) Suspect() bool {
	c.served++
	refused := c.guard.refused.Load()
	return refused != 0 && c.served >= refused
}

// Read reads what the guard lets pass.
func (c *Conn) Read(b []byte) (int, error) {
	var src io.Reader = c.TCPConn
	if c.tls != nil {
		src = c.tls
	}
	if c.guard == nil || c.hijacked() {
		if len(c.early) > 0 {
			n := copy(b, c.early)
			c.early = c.early[n:]
			return n, nil
		}
		return src.Read(b)
	}
	n, err := c.guard.read(src, b)
	if !c.patient() {
		return 0, io.EOF
	}
	if n == 0 && errors.Is(err, io.EOF) {
		err = c.heldEnd()
	}
	return n, err
}

// Close closes it, and gives its places back.
func (c *Conn) Close() error {
	c.ending.Store(true)
	c.wakeUp()
	var err error
	if c.tls != nil {
		err = c.tls.Close() // which says good-bye, and closes the other one
	} else {
		err = c.TCPConn.Close()
	}
	c.once.Do(func() {
		c.release()
		if c.client != nil {
			c.client.leave()
		}
	})
	return err
}

// Client returns the address by which the connection's requests are counted. It is invalid if they aren't.
func (c *Conn) Client() netip.Addr {
	if c.client == nil {
		return netip.Addr{}
	}
	return c.client.addr
}

// Begin reports whether no other request is under way on the connection that has begun so. End ends it.
func (c *Conn) Begin() bool { return c.busy.CompareAndSwap(false, true) }

// End ends the request that has begun with Begin.
func (c *Conn) End() { c.busy.Store(false) }

// connState is what the HTTP server last said about a connection.
type connState struct {
	state atomic.Int32 // http.ConnState
	since atomic.Int64 // Unix nanoseconds
}

// quiet tells whether there has been no request for the time.
func (c *Conn) quiet(d time.Duration) bool {
	return http.ConnState(c.state.state.Load()) != http.StateActive && time.Since(time.Unix(0, c.state.since.Load())) >= d
}

// hijacked tells whether the connection has been upgraded: its bytes are nobody's business any more.
func (c *Conn) hijacked() bool {
	return http.ConnState(c.state.state.Load()) == http.StateHijacked
}
