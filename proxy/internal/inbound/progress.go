package inbound

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Progress wraps a request and its answer, and cuts a client that neither sends nor reads. A deadline is set before
// each read and write and moves on as bytes move; a few bytes now and then don't move it. There is no limit on how long
// all of it takes. Upgraded connections have no deadline, because hijacking clears it.
type Progress struct {
	http.ResponseWriter
	rc    *http.ResponseController
	limit time.Duration
	http2 bool  // its deadlines fire also while nothing is written or read, so they are cleared each time
	body  *Body // nil: the request has none
	r     *http.Request
}

// smallBody is the size up to which a body of known length is read before a replica is chosen. It then goes out in one
// write with the header, no slow client keeps a replica waiting for it, and a replica may answer without reading it.
const smallBody = 8 << 10

// NewProgress wraps a request and its answer; End ends it.
func NewProgress(w http.ResponseWriter, r *http.Request, limits Limits) *Progress {
	limit := limits.ProgressTime
	p := &Progress{ResponseWriter: w, rc: http.NewResponseController(w), limit: limit, http2: r.ProtoMajor == 2, r: r}
	if r.Body != nil && r.Body != http.NoBody {
		p.body = &Body{ReadCloser: r.Body, rc: p.rc, limit: limit, least: limits.Progress, http2: p.http2,
			done: make(chan struct{})}
		if !p.http2 {
			// A replica may answer before it has read all of the body. Without this, the server would read the rest
			// first, and the answer would wait for a client that waits for the answer.
			_ = p.rc.EnableFullDuplex()
		}
	}
	return p
}

// Body returns the request's body; nil if it has none.
func (p *Progress) Body() *Body { return p.body }

// CountIn adds the bytes that have come to a counter, and those that come from now on. It is called while nothing
// reads. A nil Body has none.
func (b *Body) CountIn(received *atomic.Uint64) {
	if b != nil {
		b.received = received
		b.count(0)
	}
}

func (b *Body) count(n int) {
	b.uncounted += n
	if b.received != nil && b.uncounted > 0 {
		b.received.Add(uint64(b.uncounted))
		b.uncounted = 0
	}
}

// Slow reports whether the body was cut for making no progress.
func (b *Body) Slow() bool { return b.slow.Load() }

// Bound bounds the body, whose length isn't known, to so many bytes. It is called before the first read.
func (b *Body) Bound(most int64) { b.ReadCloser = http.MaxBytesReader(nil, b.ReadCloser, most) }

// Large reports whether the body was cut because it has more bytes than it may.
func (b *Body) Large() bool { return b.large.Load() }

// Cut reports whether the body broke off for any reason, so that another replica would do no better.
func (b *Body) Cut() bool { return b.cut.Load() }

// Malformed reports whether the body broke off because the server could not read it. The standard allows some of what
// the server refuses: sizes of more than 16 digits, 4 KB of a chunk's extension or of trailers.
func (b *Body) Malformed() bool { return b.malformed.Load() }

// Request returns the request to pass on. A body of known length is read before if it is small, or if it has at most
// that many bytes. An error is the client's: the body broke off or came too slowly.
func (p *Progress) Request(most int64) (*http.Request, error) {
	r := p.r.WithContext(p.r.Context())
	switch {
	case p.body == nil:
	case r.ContentLength > 0 && r.ContentLength <= max(smallBody, most) && r.Header.Get("Expect") == "":
		whole, err := io.ReadAll(p.body)
		if err != nil {
			return r, err
		}
		r.Body = io.NopCloser(bytes.NewReader(whole))
	default:
		r.Body = p.body
	}
	return r, nil
}

// earlyTime is how long an answer waits for the end of the body that it answers.
const earlyTime = 5 * time.Millisecond

// WriteHeader begins the answer. An answer that comes before its request's body has been read is the last on its
// connection, and must say so, or the client would send its next request into a connection that is being closed. The
// end of the body is mostly only microseconds away.
func (p *Progress) WriteHeader(status int) {
	if status < 200 && !p.r.ProtoAtLeast(1, 1) {
		return // HTTP/1.0 has no interim answers
	}
	if status >= 200 && p.body != nil && !p.http2 {
		select {
		case <-p.body.done:
		case <-time.After(earlyTime):
			p.Header().Set("Connection", "close")
		}
	}
	if status >= 200 && !p.http2 && p.r.Header.Get("Upgrade") != "" {
		p.Header().Set("Connection", "close") // the guard can't tell what comes next from what came too early
	}
	p.ResponseWriter.WriteHeader(status)
}

// streamPart is how much of an HTTP/2 answer must go within the limit. Many streams share a slow client's bandwidth.
const streamPart = 8 << 10

// Write writes a part of the answer. The connection makes sure that its client reads (Conn.Write), but a single stream
// of HTTP/2 can stand still.
func (p *Progress) Write(b []byte) (n int, err error) {
	if !p.http2 {
		return p.ResponseWriter.Write(b)
	}
	for {
		p.arm()
		m, err := p.ResponseWriter.Write(b[:min(len(b), streamPart)])
		p.disarm()
		n, b = n+m, b[m:]
		if err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// FlushError sends what is buffered.
func (p *Progress) FlushError() error {
	p.arm()
	err := p.rc.Flush()
	p.disarm()
	return err
}

// Hijack hands the connection over. It reads first what the client sent right behind its request: the server has that
// in a buffer, but after a change of protocol only the connection is read.
func (p *Progress) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := p.rc.Hijack()
	if conn, ok := c.(*Conn); ok && err == nil && rw.Reader.Buffered() > 0 {
		conn.early = make([]byte, rw.Reader.Buffered())
		_, err = io.ReadFull(rw.Reader, conn.early)
	}
	return c, rw, err
}

// Unwrap lets http.ResponseController reach the rest.
func (p *Progress) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *Progress) arm() {
	if p.http2 {
		p.rc.SetWriteDeadline(time.Now().Add(p.limit))
	}
}

func (p *Progress) disarm() {
	if p.http2 {
		p.rc.SetWriteDeadline(time.Time{})
	}
}

// End leaves deadlines for what the server does after the handler: write what is buffered, and read a bit of a body
// that no replica read, so that the connection may be kept.
func (p *Progress) End() {
	if p.body != nil {
		p.body.end()
	}
	now := time.Now()
	if p.http2 {
		p.rc.SetWriteDeadline(now.Add(p.limit))
		return
	}
	switch {
	case p.body == nil || p.body.ended():
	case p.body.cut.Load(): // the client has had its time
		p.rc.SetReadDeadline(time.Unix(1, 0))
	default:
		p.rc.SetReadDeadline(now.Add(min(p.limit, 5*time.Second)))
	}
}

// Body is a request's body. It may break off.
type Body struct {
	io.ReadCloser
	rc    *http.ResponseController
	limit time.Duration
	least int // bytes that must come within the limit
	http2 bool
	until time.Time     // the deadline that is set
	spent time.Duration // waiting for the client, since that many came
	came  int
	done  chan struct{} // closed once all of it has been read
	once  sync.Once
	slow  atomic.Bool
	cut   atomic.Bool

	malformed, large atomic.Bool

	received  *atomic.Uint64 // nil: not known yet
	uncounted int            // bytes that have come, and aren't in received

	mu   sync.Mutex // held to set a deadline
	over bool       // End was called: the deadlines are the server's from then on
}

// Read reads a part of the body.
func (b *Body) Read(p []byte) (int, error) {
	if b.came >= b.least {
		b.came, b.spent = 0, 0
	}
	now := time.Now()
	until := now.Add(b.limit - b.spent)
	// setting the timer costs more than reading the clock
	if d := until.Sub(b.until); b.http2 || d < 0 || d > b.limit/60 {
		b.until = until
		if !b.setDeadline(until) {
			return 0, http.ErrBodyReadAfterClose
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.came, b.spent = b.came+n, b.spent+time.Since(now)
	b.count(n)
	if errors.Is(err, io.EOF) || b.http2 {
		// From a body's end on, the server itself reads, to notice a client that leaves: that has no deadline.
		b.setDeadline(time.Time{})
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.once.Do(func() { close(b.done) })
	default:
		left := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, http.ErrBodyReadAfterClose) ||
			errors.As(err, new(net.Error))
		large := errors.As(err, new(*http.MaxBytesError))
		b.large.Store(large)
		b.malformed.Store(!left && !large && !b.http2)
		b.slow.Store(errors.Is(err, os.ErrDeadlineExceeded))
		b.cut.Store(true)
	}
	return n, err
}

// Close ends a read that waits for the client, so that it doesn't hold up an early answer.
func (b *Body) Close() error {
	if !b.ended() && !b.http2 {
		b.setDeadline(time.Unix(1, 0))
	}
	return b.ReadCloser.Close()
}

// setDeadline sets the deadline of reads, and reports whether it may. A transport may read a body while its handler
// returns, and after. The deadline would then be that of the next request, or of no connection at all.
func (b *Body) setDeadline(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	_ = b.rc.SetReadDeadline(t) // if it fails, so does the read
	return true
}

// end makes a deadline that is set by now the last one of this body.
func (b *Body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

func (b *Body) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}
