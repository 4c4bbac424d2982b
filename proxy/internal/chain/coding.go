package chain

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Coding is a Content-Encoding.
type Coding string

const (
	gzipped Coding = "gzip"
	zstded  Coding = "zstd"
)

// negotiate returns the coding that a client likes best; "" if it accepts none. Of equals it is zstd, which is quicker
// and smaller.
func negotiate(accepts string) (best Coding) {
	most := 0.0
	take := func(c Coding, q float64) {
		if q > most || q == most && q > 0 && c == zstded {
			best, most = c, q
		}
	}
	for part := range strings.SplitSeq(accepts, ",") {
		word, params, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(word)) {
		case "zstd":
			take(zstded, quality(params))
		case "gzip", "x-gzip":
			take(gzipped, quality(params))
		}
	}
	return best
}

// quality returns the weight in the parameters of a coding. One that can't be read counts as 0.
func quality(params string) float64 {
	params = strings.ToLower(strings.TrimSpace(params))
	if params == "" {
		return 1
	}
	text, ok := strings.CutPrefix(params, "q=")
	q, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

// Encoders lends encoders. Each holds up to a megabyte, so there are only so many.
type Encoders struct {
	lent atomic.Int64
	pool [2]sync.Pool // of gzip and zstd
}

// maxEncoders is how many answers are compressed at a time. The others go as they came.
const maxEncoders = 64

// encoder is what both libraries have.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// Encoder compresses one body.
type Encoder struct {
	of   *Encoders
	kind int
	to   encoder
	out  bytes.Buffer
}

// Lend returns an encoder; nil: all are in use. Return gives it back.
func (e *Encoders) Lend(c Coding) *Encoder {
	if e.lent.Add(1) > maxEncoders {
		e.lent.Add(-1)
		return nil
	}
	kind := 0
	if c == zstded {
		kind = 1
	}
	enc, _ := e.pool[kind].Get().(*Encoder)
	if enc == nil {
		enc = &Encoder{of: e, kind: kind, to: newEncoder(c)}
	}
	enc.out.Reset()
	enc.to.Reset(&enc.out)
	return enc
}

func newEncoder(c Coding) encoder {
	if c == zstded {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // fixed options
		}
		return w
	}
	w, err := gzip.NewWriterLevel(nil, gzipLevel)
	if err != nil {
		panic(err) // a fixed level
	}
	return w
}

// gzipLevel is a low one: the last percents of size cost most of the time.
const gzipLevel = 4

// Encode returns what is to be sent once data has come. With flush, the client can read all of it at once. With end it
// is the last, and Encode isn't called again. What it returns is valid until the next call.
func (e *Encoder) Encode(data []byte, flush, end bool) ([]byte, error) {
	e.out.Reset()
	var err error
	if len(data) > 0 {
		_, err = e.to.Write(data)
	}
	switch {
	case err != nil:
	case end:
		err = e.to.Close()
	case flush && len(data) > 0:
		err = e.to.Flush()
	}
	return e.out.Bytes(), err
}

// Return returns the encoder. It is called once.
func (e *Encoder) Return() {
	if e.out.Cap() > 256<<10 {
		e.out = bytes.Buffer{}
	}
	e.of.lent.Add(-1)
	e.of.pool[e.kind].Put(e)
}

// Body returns a body that compresses src as it is read, and returns the encoder when it is closed. With flush, what
// has been read of src can be read at once.
func (e *Encoder) Body(src io.ReadCloser, flush bool) io.ReadCloser {
	return &encoded{src: src, enc: e, flush: flush, buf: make([]byte, 16<<10)}
}

// encoded is a body that is compressed as it is read.
type encoded struct {
	src    io.ReadCloser
	enc    *Encoder
	flush  bool
	buf    []byte
	rest   []byte
	err    error // once rest has been read
	closed bool
}

// Read returns compressed bytes.
func (b *encoded) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		n, err := b.src.Read(b.buf)
		if err != nil && !errors.Is(err, io.EOF) {
			b.err = err
			return 0, err // the client must not take what there is for the whole
		}
		out, encErr := b.enc.Encode(b.buf[:n], b.flush, err != nil)
		if b.rest, b.err = out, err; encErr != nil {
			b.err = encErr
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close closes src, and returns the encoder.
func (b *encoded) Close() error {
	if !b.closed {
		b.closed = true
		b.err = io.ErrClosedPipe
		b.rest = nil
		b.enc.Return()
	}
	return b.src.Close()
}
