package inbound

import (
	"sync/atomic"
	"time"
)

// resets counts what a client of HTTP/2 asks for and takes back at once. The server bounds how many streams there are
// at a time, but a stream that is reset makes room for the next, so that their number over time has no bound.
type resets struct{ requests, reset atomic.Int64 }

// manyResets is how many requests a connection may take back before their share counts.
const manyResets = 200

// NoteEnd notes that a request of HTTP/2 has ended. It closes the connection if the client takes back most of what it
// asks for. A person who leaves pages early doesn't do that: a browser opens a new connection with the next click.
func (c *Conn) NoteEnd(reset bool) {
	all := c.resets.requests.Add(1)
	if !reset {
		return
	}
	if n := c.resets.reset.Add(1); n > manyResets && 2*n > all {
		if n == manyResets+1 {
			c.log.Info("connection closed: it takes back most of its requests", "client", c.RemoteAddr())
		}
		_ = c.Close()
	}
}

const (
	excessTime = 20 * time.Millisecond // for each frame too many, in which nothing more is read
	maxExcess  = 100                   // frames too many
)

// patient reports whether a client of HTTP/2 may go on. A client that sends too many idle frames is read from slowly,
// and then no more. Closed at once, it would only come again.
func (c *Conn) patient() bool {
	if c.guard.state != foreign {
		return true
	}
	n := c.guard.sieve.excess(c.sent.Load())
	more := n > 0 && n > c.excess
	c.excess = n
	switch {
	case n > maxExcess:
		if !c.ending.Load() {
			c.log.Info("connection closed: too many resets or control frames", "client", c.RemoteAddr())
		}
		_ = c.Close()
		return false
	case more:
		time.Sleep(excessTime)
	}
	return true
}
