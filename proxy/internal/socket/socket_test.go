package socket

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// With multipath TCP a client could hold more than our limits allow: see Listen.
func TestMultipathTCPIsDeclined(t *testing.T) {
	var several net.ListenConfig
	several.SetMultipathTCP(true)
	l, err := several.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !multipath(t, l) {
		t.Skip("the kernel has no multipath TCP")
	}
	s, err := Listen(t.Context(), Binding{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if multipath(t, s.TCP) {
		t.Error("a client that asks for several paths gets them")
	}
}

// multipath reports whether a client that asks for multipath TCP gets it.
func multipath(t *testing.T, l net.Listener) bool {
	t.Helper()
	var d net.Dialer
	d.SetMultipathTCP(true)
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	yes, err := c.(*net.TCPConn).MultipathTCP()
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

// Go would set this on each connection.
func TestConnectionsAreKeptAliveAsTheirListenerSays(t *testing.T) {
	s, err := Listen(t.Context(), Binding{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, err := net.Dial("tcp", s.TCP.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := s.TCP.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ level, name, want int }{{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9}, {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}} {
		got := -1
		err := raw.Control(func(fd uintptr) { got, _ = unix.GetsockoptInt(int(fd), o.level, o.name) })
		if err != nil || got != o.want {
			t.Errorf("option %d of level %d is %d, want %d (%v)", o.name, o.level, got, o.want, err)
		}
	}
}
