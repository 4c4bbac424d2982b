package proxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	copyBuffer  = 32 << 10 // bytes, of TCP and of an answer
	maxDatagram = 64 << 10 // bytes, the most that UDP carries
)

// bufferPool lends buffers of one size. It implements httputil.BufferPool.
type bufferPool struct {
	size int
	pool sync.Pool
}

var (
	copyBuffers     = &bufferPool{size: copyBuffer}
	smallBuffers    = &bufferPool{size: copyBuffer / 8}
	datagramBuffers = &bufferPool{size: maxDatagram}
)

// Get returns a buffer, to be put back.
func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, p.size)
}

// Put takes a buffer back.
func (p *bufferPool) Put(b []byte) { p.pool.Put(&b) }

// answerBuffers lends the buffers that answers are copied through. An answer holds its own until its end, also while it
// waits for the client or the replica: where many are under way, the next get small ones. It implements
// httputil.BufferPool.
type answerBuffers struct{ large atomic.Int64 }

// manyLarge is how many answers get a large buffer at a time.
const manyLarge = 128

// Get returns a buffer, to be put back.
func (p *answerBuffers) Get() []byte {
	if p.large.Add(1) <= manyLarge {
		return copyBuffers.Get()
	}
	p.large.Add(-1)
	return smallBuffers.Get()
}

// Put takes a buffer back.
func (p *answerBuffers) Put(b []byte) {
	if len(b) < copyBuffer {
		smallBuffers.Put(b)
		return
	}
	copyBuffers.Put(b)
	p.large.Add(-1)
}

// burstReader reads from a socket, and holds a buffer only while there is something in it: an idle connection costs
// none. The kernel could splice TCP, but a splice takes a pipe, which is two descriptors, and holds it while it waits.
type burstReader struct {
	raw  syscall.RawConn
	pool *bufferPool
	buf  []byte
	n    int
	err  error
}

func newBurstReader(c syscall.Conn, pool *bufferPool) (*burstReader, error) {
	raw, err := c.SyscallConn()
	return &burstReader{raw: raw, pool: pool}, err
}

// next waits for bytes or a datagram and returns them. They are the caller's until it calls done, which it must after a
// nil error. Nothing and no error is the end of a TCP connection, or an empty datagram.
func (r *burstReader) next() ([]byte, error) {
	if err := r.raw.Read(r.try); err != nil {
		return nil, err
	}
	if r.err != nil {
		r.done()
		return nil, r.err
	}
	return r.buf[:r.n], nil
}

// try reads what is there, and reports whether there was anything.
func (r *burstReader) try(fd uintptr) bool {
	r.buf = r.pool.Get()
	for {
		switch r.n, r.err = unix.Read(int(fd), r.buf); r.err {
		case unix.EINTR:
		case unix.EAGAIN:
			r.done()
			return false
		default:
			return true
		}
	}
}

// done gives the buffer back.
func (r *burstReader) done() {
	r.pool.Put(r.buf)
	r.buf = nil
}

// writeError is an error of the side that is written to.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// copyTCP copies until src ends, and returns how many bytes it copied. came is called when bytes have come, and what it
// returns when they have gone. An error of dst is a writeError.
func copyTCP(dst io.Writer, src *net.TCPConn, came func() (gone func())) (copied int64, err error) {
	r, err := newBurstReader(src, copyBuffers)
	if err != nil {
		return 0, err
	}
	for {
		b, err := r.next()
		if err != nil {
			return copied, err
		}
		gone := came()
		n, err := dst.Write(b)
		gone()
		r.done()
		copied += int64(n)
		if err != nil {
			return copied, writeError{err}
		}
		if n == 0 {
			return copied, nil
		}
	}
}
