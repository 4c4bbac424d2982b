package inbound

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pace watches that a client takes what it is sent. The socket's buffer says little: it has room for a new byte only
// when a third of some megabytes has gone, which takes a slow line minutes. So what counts is what the client's kernel
// has acknowledged.
type pace struct {
	limit time.Duration // 0: not watched
	least uint64        // bytes that must be acknowledged within it
	armed time.Time     // when the write deadline was last set

	acked uint64    // bytes acknowledged when the client was last seen to move
	since time.Time // no later than that
	seen  time.Time // when it was last looked at
}

// still takes in how much is acknowledged now, and returns for how long the client has stood still. A write that is
// stuck began at began. A client that lets a write through now and then without acknowledging anything still stands
// still.
func (p *pace) still(acked uint64, began, now time.Time) time.Duration {
	fresh := p.seen.IsZero() || now.Sub(p.seen) > p.limit/2
	p.seen = now
	switch {
	case fresh:
		p.acked, p.since = acked, began
	case acked-p.acked >= p.least:
		p.acked, p.since = acked, now
	}
	return now.Sub(p.since)
}

// tune bounds how long a client may stand still, even when all that it is sent is in the kernel's buffers. What is set
// on a listener holds for the connections that come in there from then on, which saves each of them the system calls.
func tune(c syscall.Conn, l Limits) {
	setUserTimeout(c, l.ProgressTime*9/8) // after Write, which answers the client
	_ = onSocket(c, func(fd int) error {  // without it the kernel holds more
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
}

// Tune has the connections that come in at a listener begin with what Watch sets. A connection that has come in a
// moment before misses it; that is a second line of defence.
func Tune(l *net.TCPListener, limits Limits) { tune(l, limits) }

// Untune takes back what Tune has set, for a connection of raw TCP: its client may take nothing for as long as it
// likes. The socket may have been tuned by the process before.
func Untune(c *Conn) { setUserTimeout(c.TCPConn, 0) }

// maxUnsent is how many bytes the kernel holds for a client that has no room for them. Without it, it holds megabytes.
const maxUnsent = 256 << 10

// setUserTimeout sets how long a client may take nothing before the kernel considers the connection dead. It is a
// second line of defence: if the kernel refuses, the first remains.
func setUserTimeout(c syscall.Conn, d time.Duration) {
	_ = onSocket(c, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}

// Write writes, and cuts a client that doesn't read.
func (c *Conn) Write(b []byte) (n int, err error) {
	if c.tls != nil {
		return c.tls.Write(b) // which comes back to send
	}
	return c.send(b)
}

// send writes to the socket.
func (c *Conn) send(b []byte) (n int, err error) {
	if c.pace.limit == 0 || c.state.hijacked() {
		return c.TCPConn.Write(b)
	}
	began := time.Now()
	stands := false
	defer func() { c.client.stand(&stands, false) }()
	for {
		if now := time.Now(); now.Sub(c.pace.armed) > c.pace.limit/60 {
			c.pace.armed = now
			c.SetWriteDeadline(now.Add(c.pace.limit / 16))
		}
		m, err := c.TCPConn.Write(b[n:])
		n += m
		c.sent.Add(int64(m))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		acked, err2 := bytesAcked(c.TCPConn)
		if err2 != nil {
			return n, err
		}
		still := c.pace.still(acked, began, time.Now())
		crowded := c.client.stand(&stands, still >= c.pace.limit/20)
		if crowded || still >= c.pace.limit*7/8 { // the deadline was set a little before began
			_ = c.SetLinger(0) // so that the kernel drops what the client doesn't read
			return n, err
		}
	}
}

// bytesAcked returns how many bytes the client's kernel has acknowledged.
func bytesAcked(c *net.TCPConn) (n uint64, err error) {
	err = onSocket(c, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			n = info.Bytes_acked
		}
		return err
	})
	return n, err
}

func onSocket(c syscall.Conn, do func(fd int) error) (err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if failed := raw.Control(func(fd uintptr) { err = do(int(fd)) }); failed != nil {
		return failed
	}
	return err
}
