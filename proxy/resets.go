package proxy

import (
	"net/http"
	"sync/atomic"
)

// resets counts what a client of HTTP/2 asks for and takes back at once. The server bounds how many streams there are at
// a time, but a stream that is reset makes place for the next, so that their number over time has no bound.
type resets struct{ requests, reset atomic.Int64 }

// manyResets is how many requests a connection may take back before it is looked at how many it didn't.
const manyResets = 200

// noteReset closes connections that take back most of what they ask for. A person who leaves pages early doesn't: a browser
// opens a new connection with the next click on a dead one.
func (h *httpServer) noteReset(r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*clientConn)
	if !ok || r.ProtoMajor != 2 {
		return
	}
	all := c.resets.requests.Add(1)
	if r.Context().Err() == nil {
		return
	}
	if n := c.resets.reset.Add(1); n > manyResets && 2*n > all {
		if n == manyResets+1 {
			h.log.Info("connection closed: it takes back most of its requests", "client", r.RemoteAddr)
		}
		_ = c.Close()
	}
}

// hijacked tells whether the connection has been upgraded: its bytes are nobody's business any more.
func (c *clientConn) hijacked() bool {
	return http.ConnState(c.state.state.Load()) == http.StateHijacked
}
