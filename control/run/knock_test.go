package run

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"rhumb/internal/porttest"

	"rhumb"
)

// sockets is an engine that only knows what a replica listens on.
type sockets struct {
	rhumb.Engine
	listening []netip.AddrPort
	asked     int
}

func (s *sockets) Listening(context.Context, string) ([]netip.AddrPort, error) {
	s.asked++
	return s.listening, nil
}

func TestAPortThatRefusesSaysWhoListensInstead(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed := uint16(porttest.Free(t))
	accepts := open.Addr().(*net.TCPAddr).AddrPort().Port()
	loopback, other := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), closed),
		netip.MustParseAddrPort("0.0.0.0:8000")
	what := "nothing listens on " + netip.AddrPortFrom(loopback.Addr(),
		closed).String()[len("127.0.0.1:"):] + " from outside the container"
	old := time.Now().Add(-time.Hour)
	for _, try := range []struct {
		name      string
		kind      rhumb.ReadyKind
		ports     []uint16
		started   time.Time
		listening []netip.AddrPort
		want      string
	}{
		{"one of two accepts", rhumb.ReadyTCP, []uint16{closed, accepts}, old, nil, ""},
		{"on loopback only", rhumb.ReadyTCP, []uint16{closed}, old, []netip.AddrPort{other, loopback},
			what + " (it listens on 127.0.0.1)"},
		{"on another port", rhumb.ReadyTCP, []uint16{closed}, old, []netip.AddrPort{other},
			what + " (it listens on 0.0.0.0:8000)"},
		{"nowhere", rhumb.ReadyTCP, []uint16{closed}, old, nil, what},
		{"only the image names the port, and it just began", rhumb.ReadyExposed, []uint16{closed}, time.Now(), nil,
			what},
		{"only the image names the port, and it listens nowhere", rhumb.ReadyExposed, []uint16{closed}, old,
			[]netip.AddrPort{other}, ""},
		{"only the image names the port, on loopback", rhumb.ReadyExposed, []uint16{closed}, old,
			[]netip.AddrPort{loopback}, what + " (it listens on 127.0.0.1)"},
	} {
		engine := &sockets{listening: try.listening}
		k := knock{engine: engine, rep: rhumb.Replica{Started: try.started}, at: loopback.Addr(),
			ready: rhumb.Ready{Kind: try.kind, Ports: try.ports}}
		for range 3 {
			got := ""
			if err := k.try(t.Context()); err != nil {
				got = err.Error()
			}
			if got != try.want {
				t.Errorf("%s: %q, want %q", try.name, got, try.want)
			}
		}
		if try.want != "" && engine.asked != 1 {
			t.Errorf("%s: the engine was asked %d times for three tries in a row", try.name, engine.asked)
		}
	}
}
