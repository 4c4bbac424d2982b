package inbound

import (
	"log/slog"
	"sync/atomic"
)

// resets counts what a client of HTTP/2 asks for and takes back at once. The server bounds how many streams there are at
// a time, but a stream that is reset makes place for the next, so that their number over time has no bound.
type resets struct{ requests, reset atomic.Int64 }

// manyResets is how many requests a connection may take back before it is looked at how many it didn't.
const manyResets = 200

// NoteEnd takes in that a request of HTTP/2 has ended, and closes the connection if it takes back most of what it asks for. A person who leaves
// pages early doesn't: a browser opens a new connection with the next click on a dead one.
func (c *Conn) NoteEnd(reset bool, log *slog.Logger) {
	all := c.resets.requests.Add(1)
	if !reset {
		return
	}
	if n := c.resets.reset.Add(1); n > manyResets && 2*n > all {
		if n == manyResets+1 {
			log.Info("connection closed: it takes back most of its requests", "client", c.RemoteAddr())
		}
		_ = c.Close()
	}
}
