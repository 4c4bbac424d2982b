package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/proxy/internal/limits"
)

// stubbornKernel is a Transparent whose connections fail.
type stubbornKernel struct {
	why    string
	err    error // of each attempt
	dialed []netip.AddrPort
	doubts int
}

func (k *stubbornKernel) Why(netip.Addr, netip.Addr) string { return k.why }

func (k *stubbornKernel) DialTCP(_ context.Context, _ netip.Addr, to netip.AddrPort,
	_ time.Duration) (net.Conn, error) {
	k.dialed = append(k.dialed, to)
	return nil, k.err
}

func (k *stubbornKernel) DialUDP(_ netip.Addr, to netip.AddrPort) (*net.UDPConn, error) {
	k.dialed = append(k.dialed, to)
	return nil, k.err
}

func (k *stubbornKernel) Doubt(netip.Addr, netip.Addr) { k.doubts++ }

// listening returns a member at which a server accepts connections, and answers them with what it got.
func listening(t *testing.T) *Member {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	at := netip.MustParseAddrPort(l.Addr().String())
	return &Member{Endpoint: &Endpoint{Addr: at.String(), connecting: make(chan struct{}, 1)},
		Spec: &rhumb.Endpoint{Addr: at}}
}

func TestAConnectionThatCannotBeTheClientsIsOurs(t *testing.T) {
	four, six := netip.MustParseAddrPort("203.0.113.9:40000"), netip.MustParseAddrPort("[2001:db8::9]:40000")
	for _, c := range []struct {
		name    string
		client  netip.AddrPort
		kernel  stubbornKernel
		change  func(*rhumb.Endpoint)
		dials   int
		doubts  int
		refused bool
	}{
		{"known before", four, stubbornKernel{why: "no"}, nil, 0, 0, false},
		{"known to the release", four, stubbornKernel{}, func(e *rhumb.Endpoint) { e.Unseen = "internal" }, 0, 0, false},
		{"no port is free", four, stubbornKernel{err: unix.EADDRNOTAVAIL}, nil, 1, 0, false},
		{"the kernel refuses the address", four, stubbornKernel{err: unix.EINVAL}, nil, 1, 0, false},
		{"no answer", four, stubbornKernel{err: os.ErrDeadlineExceeded}, nil, patience, 1, false},
		{"the replica refuses", four, stubbornKernel{err: unix.ECONNREFUSED}, nil, 1, 0, true},
		{"it listens on IPv4 only", six, stubbornKernel{err: unix.ECONNREFUSED},
			func(e *rhumb.Endpoint) { e.Addr6 = netip.MustParseAddr("fd77::2") }, 1, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var served atomic.Pointer[Snapshot]
			b, m := New(&served, limits.Default()), listening(t)
			b.Transparent = &c.kernel
			if c.change != nil {
				c.change(m.Spec)
			}
			conn, err := b.DialFor(t.Context(), m, Caller{Client: c.client, Called: m.Spec.Addr})
			if c.refused != errors.As(err, new(*DialError)) {
				t.Fatalf("err %v, want a DialError: %v", err, c.refused)
			}
			if err == nil {
				defer conn.Close()
				if at := conn.RemoteAddr().String(); at != m.Addr {
					t.Errorf("connected to %s", at)
				}
			}
			if len(c.kernel.dialed) != c.dials || c.kernel.doubts != c.doubts {
				t.Errorf("%d attempts from the client's address and %d doubts, want %d and %d", len(c.kernel.dialed),
					c.kernel.doubts, c.dials, c.doubts)
			}
			if places := len(b.conns); places != 1 && !c.refused || places != 0 && c.refused {
				t.Errorf("%d places are taken", places)
			}
		})
	}
}

func TestAnIPv6ClientIsTakenToTheReplicasIPv6Address(t *testing.T) {
	var served atomic.Pointer[Snapshot]
	b, m, k := New(&served, limits.Default()), listening(t), &stubbornKernel{err: unix.EINVAL}
	b.Transparent, m.Spec.Addr6 = k, netip.MustParseAddr("fd77::2")
	client := netip.MustParseAddrPort("[2001:db8::9]:40000")
	c, err := b.DialFor(t.Context(), m, Caller{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	u, err := b.DialUDP(m, client)
	if err != nil {
		t.Fatal(err)
	}
	u.Close()
	want := netip.AddrPortFrom(m.Spec.Addr6, m.Spec.Addr.Port())
	if len(k.dialed) != 2 || k.dialed[0] != want || k.dialed[1] != want {
		t.Errorf("dialed %v, want %s", k.dialed, want)
	}
}
