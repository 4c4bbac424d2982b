// Package inbound handles the connections of clients and bounds what clients may do: what they send has only one
// reading, they keep moving, and they may use TLS.
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

	"rhumb/proxy/internal/preamble"
	"rhumb/proxy/internal/socket"
)

// Conn is an accepted connection. Closing it releases its places.
type Conn struct {
	*net.TCPConn
	Bound   socket.Binding
	Tuned   bool // its listener was, so that it began with what Watch sets
	once    sync.Once
	release func()
	log     *slog.Logger
	state   connState
	guard   *guard // nil: not HTTP
	earlier
	tls     *tls.Conn         // nil: in clear
	name    string            // the name that the client asked for in its handshake
	leaf    *x509.Certificate // the certificate that it was shown; nil: in clear, or the session was resumed
	ending  atomic.Bool
	stopped atomic.Bool // the server wants no more from the read that is under way
	wake    waker       // has an element after a change of ending and stopped
	served  int64       // requests of HTTP/1 that reached the handler
	pace    pace
	resets  resets
	sent    atomic.Int64
	excess  int64            // of frames of HTTP/2, at the last look
	client  *Client          // nil: not counted
	named   *preamble.Header // what a trusted peer said about the client; nil: the client is the peer
	one                      // HTTP/2: the one request that needs no place but the connection's
}

// New returns the connection that was accepted on the socket bound to b. It calls release once, when it is closed.
func New(c *net.TCPConn, bound socket.Binding, release func()) *Conn {
	return &Conn{TCPConn: c, Bound: bound, release: release}
}

// Limits bounds what a client of HTTP can make a connection spend.
type Limits struct {
	Header       int           // bytes of a request's header
	Progress     int           // bytes that must move within ProgressTime
	ProgressTime time.Duration // within which a client has to move them
}

// Watch watches from now on that the client takes what it is sent. If client isn't nil, closing the connection leaves
// it.
func (c *Conn) Watch(l Limits, client *Client, log *slog.Logger) {
	c.client, c.log = client, log
	if !c.Tuned {
		tune(c.TCPConn, l)
	}
	c.pace = pace{limit: l.ProgressTime, least: uint64(l.Progress)}
}

// Guard has the connection read through a guard from now on: what comes next is for the HTTP server of the standard
// library.
func (c *Conn) Guard(l Limits) {
	c.guard = &guard{max: l.Header + 8<<10, agreed: agreed(c)}
	c.wake = make(waker, 1)
}

// Agreement is what a handshake says about the protocol of HTTP.
type Agreement int

// Agreements. In clear there is none.
const (
	NoAgreement Agreement = iota
	OnHTTP1
	OnHTTP2
)

// Agreed returns what the handshake says about the protocol.
func (c *Conn) Agreed() Agreement {
	switch agreed(c) {
	case "":
		return NoAgreement
	case protocolHTTP2:
		return OnHTTP2
	}
	return OnHTTP1
}

func agreed(c *Conn) string {
	if c.tls == nil {
		return ""
	}
	return c.tls.ConnectionState().NegotiatedProtocol
}

// earlier has bytes that were read already, and are read again.
type earlier struct{ early []byte }

// Return takes back bytes that were read too early. The next reads return a copy of them.
func (e *earlier) Return(b []byte) { e.early = append(e.early, b...) }

// Suspect counts a request of HTTP/1 that reached the handler, and reports whether the guard has refused it already.
func (c *Conn) Suspect() bool {
	c.served++
	refused := c.guard.refused.Load()
	return refused != 0 && c.served >= refused
}

// Read reads what the guard lets pass, or everything if there is none.
func (c *Conn) Read(b []byte) (int, error) {
	if c.guard == nil || c.state.hijacked() {
		return unguarded{c}.Read(b)
	}
	n, err := c.guard.read(unguarded{c}, b)
	if !c.patient() {
		return 0, io.EOF
	}
	if n == 0 && errors.Is(err, io.EOF) {
		err = c.heldEnd()
	}
	return n, err
}

// unguarded reads what the client sends, whatever it is.
type unguarded struct{ c *Conn }

func (u unguarded) Read(b []byte) (int, error) {
	switch c := u.c; {
	case len(c.early) > 0:
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	case c.tls != nil:
		return c.tls.Read(b)
	default:
		return c.TCPConn.Read(b)
	}
}

// Close closes the connection and releases its places.
func (c *Conn) Close() error {
	c.ending.Store(true)
	c.wake.up()
	var err error
	if c.tls != nil {
		err = c.tls.Close() // which says goodbye, and closes the TCP connection
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

// Client returns the address by which the connection's requests are counted. It is invalid if they aren't counted.
func (c *Conn) Client() netip.Addr {
	if c.client == nil {
		return netip.Addr{}
	}
	return c.client.addr
}

// one is a place that only one request at a time can have.
type one struct{ taken atomic.Bool }

// Begin takes the place, and reports whether it was free.
func (o *one) Begin() bool { return o.taken.CompareAndSwap(false, true) }

// End frees the place.
func (o *one) End() { o.taken.Store(false) }

// connState is the connection's last state in the HTTP server.
type connState struct {
	state atomic.Int32 // http.ConnState
	since atomic.Int64 // Unix nanoseconds
}

// active reports whether a request is under way.
func (s *connState) active() bool { return http.ConnState(s.state.Load()) == http.StateActive }

// quiet reports whether there has been no request for the given time.
func (s *connState) quiet(d time.Duration) bool {
	return !s.active() && time.Since(time.Unix(0, s.since.Load())) >= d
}

// hijacked reports whether the connection has been upgraded. Its bytes aren't looked at any more.
func (s *connState) hijacked() bool { return http.ConnState(s.state.Load()) == http.StateHijacked }
