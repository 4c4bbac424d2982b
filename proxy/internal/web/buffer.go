package web

import (
	"io"

	"rhumb/proxy/internal/http1"
)

// buffer has bytes that have come and haven't been used. Heads stay where they are while they are used,
// because their texts share its memory.
type buffer struct {
	buf      []byte
	from, to int
}

func (w *buffer) bytes() []byte { return w.buf[w.from:w.to] }

func (w *buffer) take(n int) { w.from += n }

// settle moves what is left to the front, and lets go of a buffer that has grown. No text is used any more.
func (w *buffer) settle(size int) {
	n := copy(w.buf, w.bytes())
	w.from, w.to = 0, n
	if len(w.buf) > size && n <= size {
		w.buf = append(make([]byte, 0, size), w.buf[:n]...)[:size]
	}
}

// read reads once from src. It makes room for up to limit bytes; more are http1.ErrTooLarge.
func (w *buffer) read(src io.Reader, limit int) error {
	if w.to == len(w.buf) {
		if w.to-w.from >= limit {
			return http1.ErrTooLarge
		}
		grown := make([]byte, min(limit, max(2*(w.to-w.from), cap(w.buf))))
		w.from, w.to = 0, copy(grown, w.bytes())
		w.buf = grown
	}
	n, err := src.Read(w.buf[w.to:])
	w.to += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// put appends bytes that were read elsewhere.
func (w *buffer) put(b []byte) {
	w.buf = append(w.buf[:w.to], b...)
	w.to = len(w.buf)
	w.buf = w.buf[:cap(w.buf)]
}

// rest returns the part of the buffer behind what was used. What is read there keeps nothing in place that is used.
func (w *buffer) rest() []byte { return w.buf[w.from:] }
