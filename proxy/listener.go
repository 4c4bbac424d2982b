package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/socket"
)

// listener is a socket that is served.
type listener struct {
	*socket.Socket
	udp *udpListener // nil: TCP
}

// close stops accepting. The connections that are open live on; UDP sessions of the socket end.
func (l *listener) close() {
	if l.udp != nil {
		l.udp.end()
	}
	l.Close()
}

// quit stops accepting, for good; a UDP socket is kept so that answers can still be sent.
func (l *listener) quit() {
	if l.udp != nil {
		l.udp.quit()
		return
	}
	l.close()
}

// clientConn is an accepted connection that gives its places back when it is closed.
type clientConn struct {
	*net.TCPConn
	bound  socket.Binding
	once   sync.Once
	places []slots
	state  connState
	guard  *guard            // nil: not HTTP
	tls    *tls.Conn         // nil: in clear
	name   string            // that the client asked for in its handshake
	leaf   *x509.Certificate // that it was shown; nil: in clear, or the session was resumed
	ending atomic.Bool
	served int64 // requests of HTTP/1 that reached the handler
	pace   pace
	resets resets
}

// Read reads what the guard lets pass.
func (c *clientConn) Read(b []byte) (int, error) {
	var src io.Reader = c.TCPConn
	if c.tls != nil {
		src = c.tls
	}
	if c.guard == nil || c.hijacked() {
		return src.Read(b)
	}
	return c.guard.read(src, b)
}

func (c *clientConn) Close() error {
	c.ending.Store(true)
	var err error
	if c.tls != nil {
		err = c.tls.Close() // which says good-bye, and closes the other one
	} else {
		err = c.TCPConn.Close()
	}
	c.once.Do(func() {
		for _, p := range c.places {
			p.release()
		}
	})
	return err
}

// acceptLoop takes connections from one socket until it is closed, and waits for those it has begun.
type acceptLoop struct {
	socket *socket.Socket
	total  slots
	own    slots
	serve  func(*clientConn) (rest func()) // rest, if any, is the connection's own goroutine
	full   func(socket.Binding)            // called while there is no place for more connections
	ended  func()                          // called when no more are accepted
	log    *slog.Logger
}

func (a *acceptLoop) run() {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer a.ended()
	var backoff time.Duration
	for {
		if !a.takePlace() {
			return
		}
		c, err := a.socket.TCP.AcceptTCP()
		if err != nil {
			a.own.release()
			if backoff = a.pause(err, backoff); backoff == 0 {
				return
			}
			continue
		}
		backoff = 0
		a.total.take() // not given up when the socket closes: this connection was accepted and is owed an answer
		cc := &clientConn{TCPConn: c, bound: a.socket.Bound, places: []slots{a.own, a.total}}
		if rest := a.serve(cc); rest != nil {
			conns.Go(rest)
		}
	}
}

// takePlace waits for a place; false if the socket was closed meanwhile.
func (a *acceptLoop) takePlace() bool {
	for {
		select {
		case a.own <- struct{}{}:
			return true
		default:
		}
		a.full(a.socket.Bound)
		select {
		case a.own <- struct{}{}:
			return true
		case <-time.After(time.Second):
		case <-a.socket.Closed():
			return false
		}
	}
}

// pause waits after a failed accept, longer each time, and gives 0 when there is no more to accept.
func (a *acceptLoop) pause(err error, last time.Duration) time.Duration {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0
	}
	if last == 0 {
		a.log.Warn("accepting failed", "address", a.socket.Bound.String(), "error", err)
	}
	d := min(max(2*last, 5*time.Millisecond), time.Second)
	select {
	case <-time.After(d):
		return d
	case <-a.socket.Closed():
		return 0
	}
}
