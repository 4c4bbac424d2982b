package flow

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reader reads from a socket and holds a buffer only while there is something in it, so that an idle connection needs
// no buffer. The kernel could splice TCP instead, but a splice takes a pipe, which is two descriptors, and holds it
// while it waits.
type Reader struct {
	raw  syscall.RawConn
	pool *bufferPool
	buf  []byte
	n    int
	err  error
}

// NewDatagramReader returns a reader of a UDP socket.
func NewDatagramReader(c syscall.Conn) (*Reader, error) { return newReader(c, datagramBuffers) }

func newReader(c syscall.Conn, pool *bufferPool) (*Reader, error) {
	raw, err := c.SyscallConn()
	return &Reader{raw: raw, pool: pool}, err
}

// Next waits for bytes or a datagram and returns them. They are the caller's until it calls Done, which it must do
// after a nil error. No bytes and no error is the end of a TCP connection, or an empty datagram.
func (r *Reader) Next() ([]byte, error) {
	if err := r.raw.Read(r.try); err != nil {
		return nil, err
	}
	if r.err != nil {
		r.Done()
		return nil, r.err
	}
	return r.buf[:r.n], nil
}

// try reads what is there, and reports whether there was anything.
func (r *Reader) try(fd uintptr) bool {
	r.buf = r.pool.get()
	for {
		switch r.n, r.err = unix.Read(int(fd), r.buf); r.err {
		case unix.EINTR:
		case unix.EAGAIN:
			r.Done()
			return false
		default:
			return true
		}
	}
}

// Done releases the buffer.
func (r *Reader) Done() {
	r.pool.put(r.buf)
	r.buf = nil
}

// writeError is an error of the side that is written to.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// copyTCP copies until src ends, and returns how many bytes it copied. It notes in f what moves. An error of dst is a
// writeError.
func copyTCP(dst io.Writer, src *net.TCPConn, f *Flow, fromClient bool) (copied int64, err error) {
	r, err := newReader(src, copyBuffers)
	if err != nil {
		return 0, err
	}
	for {
		b, err := r.Next()
		if err != nil {
			return copied, err
		}
		f.come(fromClient)
		n, err := dst.Write(b)
		f.taken(fromClient, n)
		r.Done()
		copied += int64(n)
		if err != nil {
			return copied, writeError{err}
		}
		if n == 0 {
			return copied, nil
		}
	}
}
