package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// progress wraps a request and its answer so that a client which neither sends nor reads is cut: a deadline is set
// before each read and write and moved on as bytes move. There is no limit on how long all of it takes. Upgraded connections have
// none, because hijacking clears the deadlines.
type progress struct {
	http.ResponseWriter
	rc    *http.ResponseController
	limit time.Duration
	http2 bool // its deadlines fire also while nothing is being written or read, so they are cleared each time
	armed time.Time
	body  *progressBody
	r     *http.Request
}

// smallBody is the size up to which a body of known length is read before a replica is chosen. It then goes out in one write with the
// header, no slow client keeps a replica waiting for it, and a replica that answers without reading it causes no trouble.
const smallBody = 8 << 10

func newProgress(w http.ResponseWriter, r *http.Request, limit time.Duration) *progress {
	p := &progress{ResponseWriter: w, rc: http.NewResponseController(w), limit: limit, http2: r.ProtoMajor == 2, r: r}
	if r.Body != nil && r.Body != http.NoBody {
		p.body = &progressBody{ReadCloser: r.Body, rc: p.rc, limit: limit, http2: p.http2, done: make(chan struct{})}
		if !p.http2 {
			// A replica may answer before it has read all of the body. Without this, the server
			// would read the rest first, and the answer would wait for a client that waits for the answer.
			_ = p.rc.EnableFullDuplex()
		}
	}
	return p
}

// request gives the request to pass on. Its error is the client's: the body broke off or came too slowly.
func (p *progress) request(ctx context.Context) (*http.Request, error) {
	r := p.r.WithContext(ctx)
	switch {
	case p.body == nil:
	case r.ContentLength > 0 && r.ContentLength <= smallBody && r.Header.Get("Expect") == "":
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

// WriteHeader begins the answer. One that comes before its request's body has been read is the last on its connection, and has
// to say so: a client would send the next request into a connection that is being closed. Mostly the end is only microseconds away.
func (p *progress) WriteHeader(status int) {
	if status >= 200 && p.body != nil && !p.http2 {
		select {
		case <-p.body.done:
		case <-time.After(earlyTime):
			p.Header().Set("Connection", "close")
		}
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (p *progress) Write(b []byte) (int, error) {
	p.arm()
	n, err := p.ResponseWriter.Write(b)
	p.disarm()
	return n, err
}

// FlushError sends what is buffered.
func (p *progress) FlushError() error {
	p.arm()
	err := p.rc.Flush()
	p.disarm()
	return err
}

// Unwrap lets http.ResponseController reach the rest.
func (p *progress) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// arm moves the write deadline on, at most once in a sixtieth of the limit: the timer costs more than the clock.
func (p *progress) arm() {
	if now := time.Now(); p.http2 || now.Sub(p.armed) > p.limit/60 {
		p.armed = now
		p.rc.SetWriteDeadline(now.Add(p.limit))
	}
}

func (p *progress) disarm() {
	if p.http2 {
		p.rc.SetWriteDeadline(time.Time{})
	}
}

// end leaves deadlines for what the server does after the handler: write what is buffered, and read a bit of a body that nobody
// wanted, so that the connection may be kept.
func (p *progress) end() {
	if p.http2 {
		return
	}
	now := time.Now()
	p.rc.SetWriteDeadline(now.Add(p.limit))
	if p.body != nil && !p.body.ended() {
		p.rc.SetReadDeadline(now.Add(min(p.limit, 5*time.Second)))
	}
}

type progressBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	limit time.Duration
	http2 bool
	armed time.Time
	done  chan struct{} // closed once all of it has been read
	once  sync.Once
	slow  atomic.Bool // it was cut for making no progress
	cut   atomic.Bool // it broke off for any reason: nothing that another replica would do better
}

// Read reads a part of the body.
func (b *progressBody) Read(p []byte) (int, error) {
	if now := time.Now(); b.http2 || now.Sub(b.armed) > b.limit/60 {
		b.armed = now
		b.rc.SetReadDeadline(now.Add(b.limit))
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) || b.http2 {
		// From a body's end on, the server itself reads, to notice a client that leaves: that has no deadline.
		b.rc.SetReadDeadline(time.Time{})
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.once.Do(func() { close(b.done) })
	default:
		b.slow.Store(errors.Is(err, os.ErrDeadlineExceeded))
		b.cut.Store(true)
	}
	return n, err
}

// Close ends a reading that waits for the client, so that an early answer isn't held up by it.
func (b *progressBody) Close() error {
	if !b.ended() && !b.http2 {
		b.rc.SetReadDeadline(time.Unix(1, 0))
	}
	return b.ReadCloser.Close()
}

func (b *progressBody) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}
