package backend

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rhumb/proxy/internal/limits"
)

// shortQueue listens with a queue of one connection, as servers do that expect little.
func shortQueue(t *testing.T) net.Listener {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A kernel that drops a connection for a full queue makes its caller wait for one, three, seven and more seconds.
func TestACrowdReachesAnEndpointWithAShortQueue(t *testing.T) {
	const crowd = 200
	l := shortQueue(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			time.Sleep(time.Millisecond) // the server starts a thread, or a process
			go func() {
				defer c.Close()
				b := make([]byte, 1)
				_, _ = c.Read(b)
				_, _ = c.Write(b)
			}()
		}
	}()
	var served atomic.Pointer[Snapshot]
	lim := limits.Default()
	lim.DialTime = 30 * time.Second // the last caller waits for all the others, on a busy machine for long
	b := New(&served, lim)
	e := &Endpoint{Addr: l.Addr().String(), connecting: make(chan struct{}, 1)}
	var callers sync.WaitGroup
	errs := make(chan error, crowd)
	for range crowd {
		callers.Go(func() { errs <- ask(t, b, e) })
	}
	callers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// ask connects and wants an answer within three seconds, which is the time after which a kernel repeats a SYN for the
// second time.
func ask(t *testing.T, b *Balancer, e *Endpoint) error {
	c, err := b.Dial(t.Context(), e)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}
