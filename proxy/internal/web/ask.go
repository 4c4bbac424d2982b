package web

import (
	"errors"
	"net/http"
	"os"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/http1"
)

// repeatable reports whether the request may be sent again if its replica closes the link without an answer. A replica
// may close an idle link just as a request is written to it. All other requests get a link of their own: a dial costs
// some 50 µs here, a POST that is lost or done twice costs more.
func (x *exchange) repeatable() bool {
	switch x.c.request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return x.c.request.Length == 0
	}
	return false
}

// ask sends the request to a member, and reads its answer up to the end of the head.
func (x *exchange) ask(m *backend.Member) error {
	for {
		l, err := x.c.server.deps.Balancer.Link(x.c.ctx, m.Endpoint, x.repeatable() && !x.stale)
		if err != nil {
			return err
		}
		x.link = l
		x.c.hold(l)
		q := question{x: x, c: x.c, received: &m.Bytes().Received}
		if err = q.put(); err == nil {
			return nil
		}
		begun := q.interim > 0 || len(x.c.back.bytes()) > 0 || errors.As(err, new(*http1.Fault))
		if x.c.ctx.Err() != nil || !l.Kept || begun || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		x.stale = true
		x.drop()
	}
}
