package socket

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"rhumb"
)

// Binding names what can be bound once. TCP and HTTP share the sockets of TCP.
type Binding struct {
	UDP  bool
	Addr netip.AddrPort
}

// Of returns the binding of a listener.
func Of(l rhumb.Listener) Binding {
	return Binding{UDP: l.Protocol == rhumb.UDP, Addr: l.Addr}
}

// String returns the binding as "127.0.0.1:80/tcp".
func (b Binding) String() string {
	if b.UDP {
		return b.Addr.String() + "/udp"
	}
	return b.Addr.String() + "/tcp"
}

// In reports whether b is at; every binding is in the zero Binding.
func (b Binding) In(at Binding) bool { return at == Binding{} || b == at }

// Overlaps reports whether the kernel would refuse to bind one beside the other.
func (b Binding) Overlaps(o Binding) bool {
	if b.UDP != o.UDP || b.Addr.Port() != o.Addr.Port() {
		return false
	}
	x, y := b.Addr.Addr(), o.Addr.Addr()
	covers := func(wide, narrow netip.Addr) bool {
		return wide.IsUnspecified() && (wide.Is6() || narrow.Is4())
	}
	return x == y || covers(x, y) || covers(y, x)
}

// Try returns nil if the address could be bound, and else the error that Explain makes. It doesn't listen, so that no
// client sees it.
func Try(b Binding) error {
	a := b.Addr.Addr()
	family, kind := unix.AF_INET6, unix.SOCK_STREAM
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(b.Addr.Port()), Addr: a.As16()}
	if a.Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(b.Addr.Port()), Addr: a.As4()}
	}
	if b.UDP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err == unix.EAFNOSUPPORT && a == netip.IPv6Unspecified() {
		return Try(Binding{UDP: b.UDP, Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), b.Addr.Port())})
	}
	if err != nil {
		return Explain(b, err)
	}
	defer unix.Close(fd)
	if family == unix.AF_INET6 {
		only := 1
		if a.IsUnspecified() {
			only = 0
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only) // if it fails, Bind does too
	}
	if !b.UDP {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err := unix.Bind(fd, to); err != nil {
		return Explain(b, err)
	}
	return nil
}
