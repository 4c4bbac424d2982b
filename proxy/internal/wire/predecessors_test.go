package wire

import (
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A successor that inherits such a connection would take the late answer for one to its own question.
func TestAPredecessorThatDoesNotAnswerIsNotHandedOver(t *testing.T) {
	for range 1000 {
		ours, its := pair(t)
		o := &Predecessors{Log: slog.New(slog.DiscardHandler)}
		o.add(ours)
		var work sync.WaitGroup
		work.Go(func() { o.Ask(nil) })
		var q question
		if err := readFrame(its, &q); err != nil { // from now on the exchange is under way
			t.Fatal(err)
		}
		work.Go(func() {
			held, release := o.hold()
			defer release()
			if len(held) > 0 {
				t.Error("held after its exchange has failed")
			}
		})
		runtime.Gosched()
		_ = its.Close()
		work.Wait()
		if n := len(o.list()); n != 0 || t.Failed() {
			t.Fatalf("%d predecessors left", n)
		}
	}
}

func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
	}
	return ends[0], ends[1]
}
