// Package socket binds addresses of this host, finds which process holds an address, and makes sockets from descriptors
// that another process has handed over.
package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"rhumb"
)

// Socket is one bound address. What serves a connection is looked up in the table each time, so that a listener changes
// its protocol or backend without touching the socket.
type Socket struct {
	Bound  Binding
	TCP    *net.TCPListener // nil: UDP
	UDP    *net.UDPConn
	once   sync.Once
	closed chan struct{}
}

// Listen binds the address. A host without IPv6 takes "[::]" as all of IPv4. Errors are the kernel's; Explain turns
// them into messages.
func Listen(ctx context.Context, b Binding) (*Socket, error) {
	var lc net.ListenConfig
	// Multipath TCP has no TCP_USER_TIMEOUT and outlives its closing: a slow client would hold what we let go of.
	lc.SetMultipathTCP(false)
	if !b.UDP { // connections have what their listener has; Go would set it on each, with four system calls
		lc.KeepAlive, lc.Control = -1, keepAlive
	}
	network, addr := networkOf(b)
	if b.UDP {
		c, err := lc.ListenPacket(ctx, network, addr)
		if errors.Is(err, syscall.EAFNOSUPPORT) && b.Addr.Addr().IsUnspecified() {
			c, err = lc.ListenPacket(ctx, "udp4", wildcard4(b.Addr.Port()))
		}
		if err != nil {
			return nil, err
		}
		return ofUDP(b, c), nil
	}
	l, err := lc.Listen(ctx, network, addr)
	if errors.Is(err, syscall.EAFNOSUPPORT) && b.Addr.Addr().IsUnspecified() {
		l, err = lc.Listen(ctx, "tcp4", wildcard4(b.Addr.Port()))
	}
	if err != nil {
		return nil, err
	}
	return ofTCP(b, l), nil
}

// Inherit makes a socket from a file descriptor that another process bound. It works on a duplicate: f stays the
// caller's.
func Inherit(b Binding, f *os.File) (*Socket, error) {
	if b.UDP {
		c, err := net.FilePacketConn(f)
		if err != nil {
			return nil, err
		}
		return ofUDP(b, c), nil
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return ofTCP(b, l), nil
}

// How often the kernel asks whether the other side of a still connection is there, and how often it may not answer.
// These are Go's own times.
const (
	keepAliveTime  = 15 // seconds
	keepAliveCount = 9
)

// keepAlive sets that on a socket before it is bound.
func keepAlive(_, _ string, c syscall.RawConn) error {
	var err error
	failed := c.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveTime),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveTime),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount))
	})
	return errors.Join(failed, err)
}

func ofUDP(b Binding, c net.PacketConn) *Socket {
	s := &Socket{Bound: b, UDP: c.(*net.UDPConn), closed: make(chan struct{})}
	wantLocal(s.UDP)
	return s
}

func ofTCP(b Binding, l net.Listener) *Socket {
	return &Socket{Bound: b, TCP: l.(*net.TCPListener), closed: make(chan struct{})}
}

func wildcard4(port uint16) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), port).String()
}

// networkOf returns net's names for b. "tcp" on "[::]" takes IPv4 too.
func networkOf(b Binding) (network, addr string) {
	network = "tcp"
	if b.UDP {
		network = "udp"
	}
	switch a := b.Addr.Addr(); {
	case a.Is4():
		network += "4"
	case !a.IsUnspecified():
		network += "6"
	}
	return network, b.Addr.String()
}

// Explain returns an error with the code Conflict that names the address and, if it can be found, the process that
// holds it.
func Explain(b Binding, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if who := holder(b); who != "" {
			return rhumb.Errorf(rhumb.Conflict, "%s is in use by %s", b, who).
				WithHint("stop it, or publish another port")
		}
		return rhumb.Errorf(rhumb.Conflict, "%s is in use by another process", b).
			WithHint("stop it, or publish another port")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return rhumb.Errorf(rhumb.Conflict, "%s can't be bound: this host doesn't have the address", b)
	case errors.Is(err, syscall.EACCES):
		return rhumb.Errorf(rhumb.Conflict, "%s can't be bound: ports below 1024 need root or CAP_NET_BIND_SERVICE", b)
	}
	return &rhumb.Error{Code: rhumb.Conflict, Msg: b.String() + " can't be bound", Err: err}
}

// Descriptor returns what can be handed to another process.
func (s *Socket) Descriptor() syscall.Conn {
	if s.UDP != nil {
		return s.UDP
	}
	return s.TCP
}

// Close stops accepting. Open connections live on.
func (s *Socket) Close() {
	s.once.Do(func() {
		close(s.closed)
		if s.TCP != nil {
			s.TCP.Close()
		} else {
			s.UDP.Close()
		}
	})
}

// Closed is closed once the socket is.
func (s *Socket) Closed() <-chan struct{} { return s.closed }
