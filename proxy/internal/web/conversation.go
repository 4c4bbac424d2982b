package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/page"
)

// conversation is a client's connection of HTTP/1: one exchange after the other. It allocates nothing for an exchange
// whose heads and body fit into its buffers.
type conversation struct {
	server *Server
	conn   *inbound.Conn
	opened time.Time
	other  *webServer // serves the connection if it turns out to be one of HTTP/2

	peer     netip.Addr
	peerText string
	trusted  bool // the peer says for which client it calls
	local    string
	ctx      context.Context // ends once the client has left, or the proxy's time is over
	leave    context.CancelFunc
	link     atomic.Pointer[backend.Link] // in use; the end of ctx closes it
	watch    watch

	undecided bool // the first bytes decide whether it is HTTP/2
	served    bool // a request has come
	dirty     bool // there may be bytes of the client that aren't read
	passed    bool // the connection is another's
	deadline  time.Time

	in       buffer // from the client
	head     []byte // of the request, in in
	desk     *desk  // nil while no exchange is under way
	back     buffer // from the replica
	out      []byte // to the replica or the client
	request  http1.Request
	response http1.Response
	chunks   http1.Chunks // of the response
	exchange exchange
	try      func(*backend.Member) error // a method value takes memory each time
}

// Sizes of buffers. They grow for a head or a small body that needs more.
const (
	inBuffer   = 4 << 10
	backBuffer = 16 << 10
	outBuffer  = 4 << 10
	maxOut     = 32 << 10 // an out buffer that has grown more isn't lent again
	maxAnswer  = 1 << 20  // bytes of an answer's head
)

// newConversation returns the conversation on a connection that was accepted just now.
func newConversation(s *Server, c *inbound.Conn, other *webServer) *conversation {
	peer := addrPortOf(c.RemoteAddr().String()).Addr()
	v := &conversation{server: s, conn: c, opened: time.Now(), other: other, peer: peer, peerText: peer.String(),
		trusted: s.trusts(peer), local: calledAt(c), undecided: c.Agreed() == inbound.NoAgreement}
	v.exchange.c, v.watch.c = v, v
	v.try = v.exchange.try
	return v
}

// run serves the connection until it ends. Exchanges are cut when ctx ends.
func (c *conversation) run(ctx context.Context) {
	c.ctx, c.leave = context.WithCancel(ctx)
	c.watch.start()
	stop := context.AfterFunc(c.ctx, c.cut)
	defer func() {
		if fault := recover(); fault != nil { // the fault is the proxy's own; it must not end the other connections
			c.server.deps.Log.Error("panic serving a connection", "text", fault, "stack", string(debug.Stack()))
		}
		c.watch.end()
		stop()
		c.leave()
		if !c.passed {
			_ = c.conn.Close()
			c.server.conns.Note(c.conn, http.StateClosed)
		}
	}()
	c.in.buf = make([]byte, inBuffer)
	for c.turn() {
	}
	if c.dirty && c.ctx.Err() == nil {
		c.linger()
	}
}

// cut ends what is under way.
func (c *conversation) cut() {
	if l := c.link.Load(); l != nil {
		_ = l.Close()
	}
	_ = c.conn.Close()
}

// hold makes a link that of the exchange.
func (c *conversation) hold(l *backend.Link) {
	c.link.Store(l)
	if l != nil && c.ctx.Err() != nil {
		_ = l.Close()
	}
}

var errHTTP2 = errors.New("the connection is one of HTTP/2")

// turn reads a request and answers it. It reports whether another may follow.
func (c *conversation) turn() (more bool) {
	if err := c.readHead(); err != nil {
		c.readFailed(err)
		return false
	}
	c.served = true
	c.server.conns.Note(c.conn, http.StateActive)
	c.sit()
	more = c.exchange.run()
	c.rise()
	c.server.conns.Note(c.conn, http.StateIdle)
	return more
}

// readFailed does what follows if no head could be read. A client that has left, or took too long, gets no answer.
func (c *conversation) readFailed(err error) {
	var fault *http1.Fault
	switch {
	case errors.Is(err, errHTTP2):
		c.pass()
	case errors.As(err, &fault):
		c.refuse(fault)
	}
}

// readHead reads the head of a request.
func (c *conversation) readHead() error {
	c.in.settle(inBuffer)
	c.request.Reset()
	l := &c.server.deps.Limits
	until, begun := c.opened.Add(l.HeaderTime), !c.served
	for {
		b := c.in.bytes()
		if whole, half := c.preface(b); whole {
			return errHTTP2
		} else if !half && len(b) > 0 {
			size, err := c.request.Parse(b)
			if size > 0 || err != nil {
				c.head = b[:size]
				c.in.take(size)
				return err
			}
		}
		switch {
		case begun:
		case len(b) > 0:
			begun, until = true, time.Now().Add(l.HeaderTime)
		default:
			until = time.Now().Add(l.IdleTime)
		}
		c.wait(until)
		if err := c.in.read(c.conn, l.Header+4<<10); err != nil {
			return err
		}
	}
}

// preface reports whether the connection's first bytes are the preface of HTTP/2, or a part of it.
func (c *conversation) preface(b []byte) (whole, half bool) {
	if !c.undecided || len(b) == 0 {
		return false, false
	}
	if len(b) < len(inbound.Preface) && strings.HasPrefix(inbound.Preface, string(b)) {
		return false, true
	}
	c.undecided = false
	return strings.HasPrefix(string(b[:min(len(b), len(inbound.Preface))]), inbound.Preface), false
}

// wait sets the deadline of reads. Setting the timer costs more than reading the clock, so it is a little early.
func (c *conversation) wait(until time.Time) {
	if d := until.Sub(c.deadline); d < 0 || d > time.Until(until)/60 {
		c.deadline = until
		_ = c.conn.SetReadDeadline(until) // if it fails, so does the read
	}
}

// pass hands the connection over to the server of HTTP/2.
func (c *conversation) pass() {
	c.passed = true
	c.conn.Return(c.in.bytes())
	c.conn.Guard(inboundLimits(c.server.deps.Limits))
	_ = c.conn.SetReadDeadline(time.Now().Add(c.server.deps.Limits.HeaderTime)) // if it fails, so does the read
	c.other.take(c.conn, &c.server.conns)
}

// refuse answers a request that could not be read.
func (c *conversation) refuse(f *http1.Fault) {
	p := page.Bad()
	switch f.Status {
	case http.StatusRequestHeaderFieldsTooLarge:
		p = page.TooLarge()
	case http.StatusExpectationFailed:
		p = page.Unexpected()
	}
	c.server.deps.Log.Debug("request refused", "client", c.peer, "err", f)
	c.sit()
	defer c.rise()
	c.exchange.reset()
	reply{&c.exchange}.write(&http.Request{Header: http.Header{}}, p.Write)
	c.dirty = true
}

// desk has the buffers of an exchange. An idle connection needs none.
type desk struct{ back, out []byte }

var desks = sync.Pool{New: func() any {
	return &desk{make([]byte, backBuffer), make([]byte, 0, outBuffer)}
}}

// sit lends a desk to the exchange that begins.
func (c *conversation) sit() {
	c.desk = desks.Get().(*desk)
	c.back, c.out = buffer{buf: c.desk.back}, c.desk.out
}

// rise returns the desk.
func (c *conversation) rise() {
	if len(c.back.buf) == backBuffer {
		c.desk.back = c.back.buf
	}
	if cap(c.out) <= maxOut {
		c.desk.out = c.out[:0]
	}
	c.response.Reset()
	desks.Put(c.desk)
	c.desk, c.back, c.out = nil, buffer{}, nil
}

// What a client may still send after its last answer, and for how long. A connection that is closed while there are
// unread bytes is reset, and a reset can destroy the answer.
const (
	lingerBytes = 256 << 10
	lingerTime  = 500 * time.Millisecond
)

// linger ends our side, and reads for a moment what the client still sends.
func (c *conversation) linger() {
	if c.conn.CloseWrite() != nil {
		return
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime)) // if it fails, so does the read
	for n := 0; n < lingerBytes; {
		m, err := c.conn.Read(c.in.buf)
		if n += m; err != nil {
			return
		}
	}
}
