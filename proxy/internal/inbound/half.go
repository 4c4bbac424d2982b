package inbound

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// heldEnd returns what the server reads when the client has ended its side. The server takes that end for a client that
// has left, and drops the request. But a client that ends its side after its last request ("nc -N") still waits for the
// answer, and the two look the same. So while the server is at work on a whole request, the end is held back
// until the answer has been written, or for half of ProgressTime. This costs no more than a client that stays.
func (c *Conn) heldEnd() error {
	if !c.state.active() || c.guard.state != atStart ||
		c.guard.refused.Load() != 0 {
		return io.EOF
	}
	timer := time.NewTimer(c.pace.limit / 2)
	defer timer.Stop()
	for {
		switch {
		case c.ending.Load():
			return net.ErrClosed
		case c.stopped.Load():
			return os.ErrDeadlineExceeded
		}
		select {
		case <-c.wake:
		case <-timer.C:
			return io.EOF
		}
	}
}

// SetReadDeadline sets the deadline of reads. The server stops a read with a deadline that has long passed.
func (c *Conn) SetReadDeadline(t time.Time) error {
	err := c.TCPConn.SetReadDeadline(t)
	stopped := !t.IsZero() && t.Unix() <= 1
	c.stopped.Store(stopped)
	if stopped {
		c.wake.up()
	}
	return err
}

// waker wakes a held end. It has an element after it was called.
type waker chan struct{}

// up has a held end look again.
func (w waker) up() {
	select {
	case w <- struct{}{}:
	default: // it has been woken already, or there is none: sending to nil never happens
	}
}

// Left reports whether the client has ended its side, and whether the connection is dead. It reads nothing.
func Left(c *Conn) (ended, dead bool) {
	err := onSocket(c.TCPConn, func(fd int) error {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		_, err := unix.Poll(p, 0)
		ended = p[0].Revents&unix.POLLRDHUP != 0
		dead = p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
		return err
	})
	if err != nil && !errors.Is(err, unix.EINTR) {
		return true, true
	}
	return ended, dead
}
