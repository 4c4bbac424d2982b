package socket

import (
	"net"
	"net/netip"
	"testing"
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
