package transparent

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DialTCP connects to an endpoint from the client's address, within the given time. The kernel chooses the port, of
// those that no other such connection to the endpoint has: the client's own may be busy, on this machine or by a
// connection that has just ended.
func (m *Machine) DialTCP(ctx context.Context, client netip.Addr, to netip.AddrPort,
	limit time.Duration) (net.Conn, error) {
	return dial(ctx, client, to, limit)
}

// DialUDP returns a socket for datagrams from the client's address to an endpoint.
func (m *Machine) DialUDP(client netip.Addr, to netip.AddrPort) (*net.UDPConn, error) {
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: client.AsSlice()}, Control: control}
	c, err := d.Dial("udp", to.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

func dial(ctx context.Context, client netip.Addr, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: limit, LocalAddr: &net.TCPAddr{IP: client.AsSlice()}, Control: control}
	return d.DialContext(ctx, "tcp", to.String())
}

// control lets a socket be bound to an address that isn't the machine's. Its port is chosen when it connects: only then
// the kernel knows which ones are free.
func control(network, _ string, c syscall.RawConn) (err error) {
	outer := c.Control(func(fd uintptr) { err = prepare(int(fd), network[len(network)-1] == '6') })
	if outer != nil {
		return outer
	}
	return err
}

func prepare(fd int, six bool) error {
	level, option := unix.SOL_IP, unix.IP_TRANSPARENT
	if six {
		level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}

// canBind returns why sockets can't be bound to clients' addresses, or nil.
func canBind() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return prepare(fd, false)
}
