package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
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
	trusted  bool            // the peer says for which client it calls
	ctx      context.Context // ends once the client has left, or the proxy's time is over
	cancel   context.CancelFunc
	link     atomic.Pointer[backend.Link] // in use; leave takes and closes it
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

// conversations are those that have ended. What one takes, 10 KB, is more than a short connection costs otherwise.
var conversations = sync.Pool{New: func() any {
	c := &conversation{}
	c.exchange.c, c.watch.c = c, c
	c.try = c.exchange.try
	c.watch.make()
	c.in.buf = make([]byte, inBuffer)
	return c
}}

// newConversation returns the conversation on a connection that was accepted just now.
func newConversation(s *Server, conn *inbound.Conn, peer netip.Addr, other *webServer) *conversation {
	c := conversations.Get().(*conversation)
	c.server, c.conn, c.opened, c.other = s, conn, time.Now(), other
	c.peer, c.peerText, c.trusted = peer, peer.String(), s.trusts(peer)
	c.undecided = conn.Agreed() == inbound.NoAgreement
	c.ctx, c.cancel = context.WithCancel(context.Background()) // talks ends it when the proxy's time is over
	return c
}

// recycle makes the conversation ready for another connection. It has ended, and nothing else uses it.
func (c *conversation) recycle() {
	c.server, c.conn, c.other, c.ctx, c.cancel = nil, nil, nil, nil, nil
	c.peer, c.peerText, c.deadline, c.head = netip.Addr{}, "", time.Time{}, nil
	c.served, c.dirty, c.passed = false, false, false
	c.in.from, c.in.to = 0, 0
	c.in.settle(inBuffer)
	c.request.Reset()
	c.chunks.Reset()
	c.exchange.forget()
	conversations.Put(c)
}

// run serves the connection until it ends. It reports whether the conversation may be recycled.
func (c *conversation) run() (sound bool) {
	defer func() {
		sound = c.watch.end() && sound
		c.cancel()
		if !c.passed {
			_ = c.conn.Close()
			c.server.conns.Note(c.conn, http.StateClosed)
		}
		c.exchange.upload.wait() // after a panic it may still read from the connection
	}()
	defer c.survive()
	for c.turn() {
	}
	if c.dirty && c.ctx.Err() == nil {
		c.linger()
	}
	return true
}

// survive is deferred. A panic is the proxy's own fault; it must not end the connections of others.
func (c *conversation) survive() {
	if fault := recover(); fault != nil {
		notePanic(c.server.deps.Log, fault)
	}
}

// leave ends what is under way: the client has left, or the proxy's time is over.
func (c *conversation) leave() {
	c.cancel()
	if l := c.link.Swap(nil); l != nil {
		_ = l.Close()
	}
	_ = c.conn.Close()
}

// yield lets go of the link, and reports whether another exchange may have it: leave may have just taken it,
// to close it.
func (c *conversation) yield(l *backend.Link) bool { return c.link.CompareAndSwap(l, nil) }

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
	c.conn.Guard(InboundLimits(c.server.deps.Limits))
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
	lingerBytes = 4 << 20
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
