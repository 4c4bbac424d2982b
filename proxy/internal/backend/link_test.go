package backend

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/limits"
)

// linking returns a balancer, an endpoint, and the ends of the endpoint's connections.
func linking(t *testing.T) (*Balancer, *Endpoint, <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan net.Conn, 10)
	go func() {
		defer close(ends)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ends <- c
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	var served atomic.Pointer[Snapshot]
	return New(&served, limits.Default()), &Endpoint{Addr: l.Addr().String(), connecting: make(chan struct{}, 1)}, ends
}

func link(t *testing.T, b *Balancer, e *Endpoint) *Link {
	t.Helper()
	l, err := b.Link(t.Context(), e, true)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAnIdleLinkIsUsedAgain(t *testing.T) {
	b, e, ends := linking(t)
	first := link(t, b, e)
	defer (<-ends).Close()
	first.Keep()
	if again := link(t, b, e); again != first || !again.Kept {
		t.Error("another link is used")
	}
	if l, err := b.Link(t.Context(), e, false); err != nil || l == first {
		t.Errorf("a link of its own was asked for: %v", err)
	}
	if n := len(b.conns); n != 2 {
		t.Errorf("%d places are taken by two links", n)
	}
}

func TestASpoiledLinkIsClosed(t *testing.T) {
	for name, spoil := range map[string]func(net.Conn) error{
		"ended":  func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() },
		"closed": func(c net.Conn) error { return c.Close() },
		"spoken on": func(c net.Conn) error {
			_, err := io.WriteString(c, "x")
			return err
		},
	} {
		b, e, ends := linking(t)
		l := link(t, b, e)
		end := <-ends
		l.Keep()
		if err := spoil(end); err != nil {
			t.Fatal(err)
		}
		p := []unix.PollFd{{Events: unix.POLLIN | unix.POLLRDHUP}}
		_ = l.raw.Control(func(fd uintptr) {
			p[0].Fd = int32(fd)
			_, _ = unix.Poll(p, 5000) // until it has arrived
		})
		if next := link(t, b, e); next == l || len(b.conns) != 1 {
			t.Errorf("%s: it is used again, or not closed: %d places are taken", name, len(b.conns))
		}
		_ = end.Close()
	}
}

func TestLinksOfADrainingEndpointAreClosed(t *testing.T) {
	b, e, _ := linking(t)
	idle, used := link(t, b, e), link(t, b, e)
	idle.Keep()
	e.closeIdle()
	if n := len(b.conns); n != 1 {
		t.Errorf("%d places are taken by the link in use", n)
	}
	used.Keep()
	if n := len(b.conns); n != 0 {
		t.Errorf("%d places are taken when it is idle", n)
	}
}

func TestIdleLinksAreClosedAfterAWhile(t *testing.T) {
	b, e, _ := linking(t)
	old, young := link(t, b, e), link(t, b, e)
	synctest.Test(t, func(t *testing.T) {
		old.Keep()
		time.Sleep(idleTime / 2)
		young.Keep()
		time.Sleep(idleTime/2 + time.Millisecond)
		synctest.Wait()
		if n := len(b.conns); n != 1 {
			t.Errorf("%d places are taken when the first is old", n)
		}
		time.Sleep(idleTime / 2)
		synctest.Wait()
		if n := len(b.conns); n != 0 {
			t.Errorf("%d places are taken when both are", n)
		}
	})
}
