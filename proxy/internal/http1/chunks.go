package http1

import (
	"bytes"
	"strconv"
)

// Limits of what chunks may cost beside their data. They are those of net/http.
const (
	maxChunkLine = 4096
	maxExcess    = 16 << 10 // bytes of extensions, beyond what each chunk may have for free
	maxTrailers  = 4096
)

// Chunks reads a body in chunks. The zero value is ready.
type Chunks struct {
	Trailers []Field // once Done

	state  chunkState
	left   int64 // bytes of the chunk that are still to come
	excess int64
	line   []byte // the beginning of a line that hasn't ended
	kept   []byte // lines of trailers
}

type chunkState int

const (
	atSize chunkState = iota
	inChunk
	afterChunk
	atTrailer
	atEnd
)

// Reset makes ready for the next body.
func (c *Chunks) Reset() { *c = Chunks{line: c.line[:0]} }

// Done reports whether the last chunk and the trailers have been read.
func (c *Chunks) Done() bool { return c.state == atEnd }

// Next reads from b up to the end of the next piece of data. It returns the piece, which is a part of b, and how many
// bytes of b it has read. Without data, it has read all of b, or the body is done. An error is a *Fault.
func (c *Chunks) Next(b []byte) (data []byte, n int, err error) {
	for c.state != atEnd && n < len(b) {
		if c.state == inChunk {
			data = b[n : n+int(min(c.left, int64(len(b)-n)))]
			if c.left -= int64(len(data)); c.left == 0 {
				c.state = afterChunk
			}
			return data, n + len(data), nil
		}
		line, used, err := c.cut(b[n:])
		if n += used; err != nil || line == nil {
			return nil, n, err
		}
		if err := c.take(line); err != nil {
			return nil, n, err
		}
		c.line = c.line[:0]
	}
	return nil, n, nil
}

// Compact moves all data in b to its front. It returns the data, and how many bytes of b it has read: all of them,
// unless the body is done. An error is a *Fault.
func (c *Chunks) Compact(b []byte) (data []byte, n int, err error) {
	at := 0
	for n < len(b) && c.state != atEnd {
		piece, used, err := c.Next(b[n:])
		if err != nil {
			return nil, n, err
		}
		at += copy(b[at:], piece)
		n += used
	}
	return b[:at], n, nil
}

// AppendChunk appends data as a chunk. There must be some: a chunk without data is the last.
func AppendChunk(b, data []byte) []byte {
	b = strconv.AppendUint(b, uint64(len(data)), 16)
	b = append(append(b, "\r\n"...), data...)
	return append(b, "\r\n"...)
}

// cut returns a line without its end, and how many bytes of b belong to it; nil: it hasn't ended.
func (c *Chunks) cut(b []byte) (line []byte, used int, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		c.line = append(c.line, b...)
		if len(c.line) > maxChunkLine {
			return nil, len(b), ErrChunk
		}
		return nil, len(b), nil
	}
	line, used = b[:end], end+1
	if len(c.line) > 0 {
		c.line = append(c.line, line...)
		line = c.line
	}
	last := len(line) - 1
	if last < 0 || last > maxChunkLine || line[last] != '\r' || !all(line[:last], inValue) {
		return nil, used, ErrChunk
	}
	return line[:last], used, nil
}

func (c *Chunks) take(line []byte) error {
	switch c.state {
	case atSize:
		return c.takeSize(line)
	case afterChunk:
		c.state = atSize
		if len(line) > 0 {
			return ErrChunk
		}
		return nil
	}
	if len(line) == 0 {
		c.state = atEnd
		return nil
	}
	if len(c.kept)+len(line) > maxTrailers {
		return ErrTrailer
	}
	at := len(c.kept)
	c.kept = append(c.kept, line...) // fields that were read before keep the memory that they have
	f, _, err := readField(c.kept[at:])
	if err != nil || FramesBody(f.Name) {
		return ErrTrailer
	}
	c.Trailers = append(c.Trailers, f)
	return nil
}

// takeSize takes the size of a chunk, and drops its extensions.
func (c *Chunks) takeSize(line []byte) error {
	digits := 0
	for digits < len(line) && isHex(line[digits]) {
		digits++
	}
	rest := line[digits:]
	if digits == 0 || digits > 16 || len(rest) > 0 && rest[0] != ';' {
		return ErrChunk
	}
	n := uint64(0)
	for _, d := range line[:digits] {
		n = n<<4 | uint64(unhex(d))
	}
	if n > 1<<63-1 {
		return ErrChunk
	}
	c.excess = max(0, c.excess+int64(len(line))+2-16-2*min(int64(n), maxExcess))
	if c.excess > maxExcess {
		return ErrChunk
	}
	c.state, c.left = inChunk, int64(n)
	if n == 0 {
		c.state = atTrailer
	}
	return nil
}
