package flow

import (
	"sync"
	"sync/atomic"
)

const (
	copyBuffer  = 32 << 10 // bytes, of TCP and of an answer
	MaxDatagram = 64 << 10 // bytes, the most that UDP carries
)

// bufferPool lends buffers of one size.
type bufferPool struct {
	size int
	pool sync.Pool
}

var (
	copyBuffers     = &bufferPool{size: copyBuffer}
	smallBuffers    = &bufferPool{size: copyBuffer / 8}
	datagramBuffers = &bufferPool{size: MaxDatagram}
)

func (p *bufferPool) get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, p.size)
}

func (p *bufferPool) put(b []byte) { p.pool.Put(&b) }

// AnswerBuffers lends the buffers that HTTP answers are copied through. An answer holds its buffer until its end, also
// while it waits for the client or the replica: where many are under way, the next get small ones. It implements
// httputil.BufferPool.
type AnswerBuffers struct{ large atomic.Int64 }

// manyLarge is how many answers get a large buffer at a time.
const manyLarge = 128

// Get returns a buffer, to be put back.
func (p *AnswerBuffers) Get() []byte {
	if p.large.Add(1) <= manyLarge {
		return copyBuffers.get()
	}
	p.large.Add(-1)
	return smallBuffers.get()
}

// Put takes a buffer back.
func (p *AnswerBuffers) Put(b []byte) {
	if len(b) < copyBuffer {
		smallBuffers.put(b)
		return
	}
	copyBuffers.put(b)
	p.large.Add(-1)
}
