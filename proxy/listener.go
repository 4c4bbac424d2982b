package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rhumb"
)

// socket is one bound address. Who serves what comes in is looked up in the table for each connection, so that a
// listener changes its protocol or backend without the socket being touched.
type socket struct {
	bound binding
	tcp   *net.TCPListener // or
	udp   *udpListener
	once  sync.Once
	stop  chan struct{}
}

// listen binds the address. A host without IPv6 takes "[::]" as all of IPv4. Errors are the kernel's: bindError explains them.
func listen(ctx context.Context, b binding) (*socket, error) {
	s := &socket{bound: b, stop: make(chan struct{})}
	var lc net.ListenConfig
	network, addr := networkOf(b)
	if b.udp {
		c, err := lc.ListenPacket(ctx, network, addr)
		if errors.Is(err, syscall.EAFNOSUPPORT) && b.addr.Addr().IsUnspecified() {
			c, err = lc.ListenPacket(ctx, "udp4", wildcard4(b.addr.Port()))
		}
		if err != nil {
			return nil, err
		}
		s.udp = newUDPListener(c.(*net.UDPConn))
		return s, nil
	}
	l, err := lc.Listen(ctx, network, addr)
	if errors.Is(err, syscall.EAFNOSUPPORT) && b.addr.Addr().IsUnspecified() {
		l, err = lc.Listen(ctx, "tcp4", wildcard4(b.addr.Port()))
	}
	if err != nil {
		return nil, err
	}
	s.tcp = l.(*net.TCPListener)
	return s, nil
}

func wildcard4(port uint16) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), port).String()
}

// networkOf gives net's names for b: "tcp" on "[::]" is the one that takes IPv4 too.
func networkOf(b binding) (network, addr string) {
	network = "tcp"
	if b.udp {
		network = "udp"
	}
	switch a := b.addr.Addr(); {
	case a.Is4():
		network += "4"
	case !a.IsUnspecified():
		network += "6"
	}
	return network, b.addr.String()
}

// bindError names the address and, where it can be found, who holds it.
func bindError(b binding, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if who := holder(b); who != "" {
			return rhumb.Errorf(rhumb.Conflict, "%s is in use by %s", b, who).WithHint("stop it, or publish another port")
		}
		return rhumb.Errorf(rhumb.Conflict, "%s is in use by another process", b).WithHint("stop it, or publish another port")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return rhumb.Errorf(rhumb.Conflict, "%s can't be bound: this host doesn't have the address", b)
	case errors.Is(err, syscall.EACCES):
		return rhumb.Errorf(rhumb.Conflict, "%s can't be bound: ports below 1024 need root or CAP_NET_BIND_SERVICE", b)
	}
	return &rhumb.Error{Code: rhumb.Conflict, Msg: b.String() + " can't be bound", Err: err}
}

// file gives what can be handed to another process.
func (s *socket) file() syscall.Conn {
	if s.udp != nil {
		return s.udp.conn
	}
	return s.tcp
}

// close stops accepting. The connections that are open live on; UDP sessions of the socket end.
func (s *socket) close() {
	s.once.Do(func() {
		close(s.stop)
		if s.tcp != nil {
			s.tcp.Close()
		} else {
			s.udp.close()
		}
	})
}

// clientConn is an accepted connection that gives its places back when it is closed.
type clientConn struct {
	*net.TCPConn
	bound  binding
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
	socket *socket
	total  slots
	own    slots
	serve  func(*clientConn) (rest func()) // rest, if any, is the connection's own goroutine
	full   func(binding)                   // called while there is no place for more connections
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
		c, err := a.socket.tcp.AcceptTCP()
		if err != nil {
			a.own.release()
			if backoff = a.pause(err, backoff); backoff == 0 {
				return
			}
			continue
		}
		backoff = 0
		a.total.take() // not given up when the socket closes: this connection was accepted and is owed an answer
		cc := &clientConn{TCPConn: c, bound: a.socket.bound, places: []slots{a.own, a.total}}
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
		a.full(a.socket.bound)
		select {
		case a.own <- struct{}{}:
			return true
		case <-time.After(time.Second):
		case <-a.socket.stop:
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
		a.log.Warn("accepting failed", "address", a.socket.bound.String(), "error", err)
	}
	d := min(max(2*last, 5*time.Millisecond), time.Second)
	select {
	case <-time.After(d):
		return d
	case <-a.socket.stop:
		return 0
	}
}

// quit stops accepting, for good; a UDP socket is kept so that answers can still be sent.
func (s *socket) quit() {
	if s.udp != nil {
		s.udp.quit()
		return
	}
	s.close()
}
