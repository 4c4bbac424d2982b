package inbound

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/socket"
)

func TestAConnectionBeginsAsItsListenerWasTuned(t *testing.T) {
	l, err := socket.Listen(t.Context(), socket.Binding{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	Tune(l.TCP, Limits{ProgressTime: 8 * time.Second})
	client, err := net.Dial("tcp", l.TCP.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := l.TCP.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	c := &Conn{TCPConn: accepted}
	option := func(name int) (value int) {
		t.Helper()
		if err := onSocket(c.TCPConn, func(fd int) (err error) {
			value, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, name)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return value
	}
	if ms, unsent := option(unix.TCP_USER_TIMEOUT), option(unix.TCP_NOTSENT_LOWAT); ms != 9000 || unsent != maxUnsent {
		t.Errorf("%d ms, %d bytes", ms, unsent)
	}
	if Untune(c); option(unix.TCP_USER_TIMEOUT) != 0 {
		t.Error("raw TCP has a time within which its client must take something")
	}
}
