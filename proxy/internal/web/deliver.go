package web

import (
	"errors"
	"fmt"
	"io"

	"rhumb/proxy/internal/http1"
)

// errBroken is an answer that broke off.
var errBroken = errors.New(brokenOff)

// deliver sends the answer of the member to the client.
func (x *exchange) deliver() {
	c, a := x.c, &x.c.response
	length := a.BodyLength(c.request.Method)
	x.last = x.last || length < 0 && c.request.Minor == 0 || c.server.leaving.Load()
	s := &x.course
	s.shapeAnswer(length)
	c.chunks.Reset()
	c.out = x.appendAnswer(c.out[:0], length)
	if s.hold > 0 {
		s.hold += len(c.out)
	}
	x.status = a.Status
	d := delivery{x: x, length: length, left: length, rechunk: (length < 0 || s.enc != nil) && c.request.Minor == 1}
	err := d.run()
	if d.buf != nil {
		c.server.buffers.Put(d.buf)
	}
	switch {
	case err == nil:
		return
	case !errors.Is(err, errBroken) || c.ctx.Err() != nil:
		x.noteError(leftWithin)
	case s.hold > 0: // the client has got nothing yet
		x.member.NoteCut()
		x.sent = 0
		x.failed(err)
		return
	default:
		x.member.NoteCut()
		x.noteError(brokenOff)
	}
	x.last = true
}

// release makes the link ready for another request, if it may carry one. All of the answer has been read.
func (x *exchange) release() {
	if x.repeatable() && x.c.response.Reusable(x.c.request.Method) {
		x.course.unlimit()
		if !x.c.yield(x.link) {
			return // its client has left, and end closes it
		}
		x.link.Keep()
		x.link = nil
	}
}

// delivery copies the body of an answer.
type delivery struct {
	x       *exchange
	length  int64 // http1.Chunked, http1.UntilEnd, or bytes
	left    int64 // of length
	rechunk bool  // the client gets it in chunks
	buf     []byte
	raw     []byte // what was read and not used
	ended   bool
}

// run sends the head, which is in out, and the body.
func (d *delivery) run() error {
	c := d.x.c
	d.raw = c.back.bytes()
	c.back.take(len(d.raw))
	for {
		data, err := d.decode()
		if err != nil {
			return err
		}
		if len(data) > 0 {
			d.x.member.Bytes().Sent.Add(uint64(len(data)))
		}
		if d.ended && len(d.raw) == 0 {
			d.x.release() // before the client can see that the answer has ended
		}
		if enc := d.x.course.enc; enc != nil {
			if data, err = enc.Encode(data, d.length < 0, d.ended); err != nil {
				return err
			}
		}
		if err := d.write(data); err != nil {
			return err
		}
		d.x.sent += int64(len(data))
		if d.ended {
			return nil
		}
		if err := d.read(); err != nil {
			return err
		}
	}
}

// decode takes what there is of the body from raw, and notes the body's end.
func (d *delivery) decode() ([]byte, error) {
	switch d.length {
	case http1.Chunked:
		data, n, err := d.x.c.chunks.Compact(d.raw)
		if err != nil {
			return nil, errBroken
		}
		d.raw, d.ended = d.raw[n:], d.x.c.chunks.Done()
		return data, nil
	case http1.UntilEnd:
		data := d.raw
		d.raw = nil
		return data, nil
	}
	n := min(d.left, int64(len(d.raw)))
	data := d.raw[:n]
	d.raw, d.left = d.raw[n:], d.left-n
	d.ended = d.left == 0
	return data, nil
}

// write sends data with what is in out, in one write if it is little.
func (d *delivery) write(data []byte) error {
	c := d.x.c
	switch {
	case d.rechunk:
		if len(data) > 0 {
			c.out = http1.AppendChunk(c.out, data)
		}
		if d.ended {
			c.out = d.appendEnd(c.out)
		}
	case len(c.out) > 0:
		c.out = append(c.out, data...)
	default:
		if len(data) == 0 {
			return nil
		}
		_, err := c.conn.Write(data)
		return err
	}
	if s := &d.x.course; s.hold > 0 {
		if !d.ended && len(c.out) < s.hold {
			return nil
		}
		s.hold = 0
	}
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// appendEnd ends a body in chunks. Trailers that frame a body don't pass.
func (d *delivery) appendEnd(b []byte) []byte {
	b = append(b, "0\r\n"...)
	for i := range d.x.c.chunks.Trailers {
		if f := &d.x.c.chunks.Trailers[i]; passes(f, &d.x.c.response) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	return append(b, "\r\n"...)
}

// read reads once from the replica.
func (d *delivery) read() error {
	c := d.x.c
	room := d.buf
	switch {
	case d.buf != nil:
	case d.left > int64(len(c.back.buf)) || d.length < 0 && d.x.sent > int64(len(c.back.buf)):
		d.buf = c.server.buffers.Get()
		room = d.buf
	default:
		room = c.back.rest()
		if len(room) < inBuffer {
			d.buf = c.server.buffers.Get()
			room = d.buf
		}
	}
	d.x.course.pace()
	n, err := d.x.link.Read(room)
	d.raw = room[:n]
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF) && d.length == http1.UntilEnd:
		d.ended = true
		return nil
	}
	return fmt.Errorf("%w: %w", errBroken, err) // a page differs if it took too long
}
