package web

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

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
		if err = x.converse(m); err == nil {
			return nil
		}
		if x.c.ctx.Err() != nil || !l.Kept || x.interim > 0 || len(x.c.back.bytes()) > 0 || errors.As(err, new(*http1.Fault)) {
			return err
		}
		x.stale = true
		x.drop()
	}
}

// converse sends the request over the link, and awaits the answer.
func (x *exchange) converse(m *backend.Member) error {
	c, u := x.c, &x.upload
	c.back.from, c.back.to = 0, 0
	c.response.Reset()
	_, err := x.link.Write(c.out)
	if err != nil && (x.repeatable() || !u.deafens(err)) {
		return err
	}
	if c.request.Length > 0 && u.whole {
		m.Bytes().Received.Add(uint64(c.request.Length))
	}
	patience := time.Time{}
	switch {
	case u.whole:
	case c.request.Continue:
		patience = time.Now().Add(continueTime)
		_ = x.link.SetReadDeadline(patience) // if it fails, so does the read
	default:
		u.start(x.link, &m.Bytes().Received)
	}
	for {
		err, asked := x.await(), false
		switch a := &c.response; {
		case err == nil && (a.Status >= 200 || a.Status == http.StatusSwitchingProtocols):
			return x.checked()
		case err == nil:
			asked = a.Status == http.StatusContinue
			err = x.passInterim()
		case errors.Is(err, os.ErrDeadlineExceeded) && !patience.IsZero():
			asked = true
			err = x.sendContinue()
		}
		if err != nil {
			return err
		}
		if asked && !patience.IsZero() {
			patience = time.Time{}
			_ = x.link.SetReadDeadline(patience)
			u.start(x.link, &m.Bytes().Received)
		}
		c.response.Reset()
	}
}

// continueTime is how long a replica may take to ask for a body before it gets it unasked.
const continueTime = time.Second

// await reads the head of an answer. Its status is 0 until the head has ended.
func (x *exchange) await() error {
	c := x.c
	for {
		if b := c.back.bytes(); len(b) > 0 {
			size, err := c.response.Parse(b)
			if err != nil {
				return err
			}
			if size > 0 {
				c.back.take(size)
				return nil
			}
		}
		if err := c.back.read(x.link, maxAnswer); err != nil {
			return err
		}
	}
}

// checked returns an error if the final answer is not one to the request.
func (x *exchange) checked() error {
	r, a := &x.c.request, &x.c.response
	if a.Status != http.StatusSwitchingProtocols {
		return nil
	}
	if to := x.upgrade(); to == "" || !strings.EqualFold(a.Upgrade, to) {
		return fmt.Errorf("the replica changes to %q, the client asked for %q", a.Upgrade, r.Upgrade)
	}
	return nil
}

// maxInterim is how many answers of 1xx may come before the last one.
const maxInterim = 100

// passInterim passes an answer of 1xx on. HTTP/1.0 has none.
func (x *exchange) passInterim() error {
	c := x.c
	if x.interim++; x.interim > maxInterim {
		return errors.New("the replica sends too many interim answers")
	}
	if c.request.Minor == 0 {
		return nil
	}
	b := make([]byte, 0, 512)
	b = appendStatus(b, 1, c.response.Status, c.response.Reason)
	for i := range c.response.Fields {
		if f := &c.response.Fields[i]; passes(f, &c.response) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	return x.sendInterim(append(b, "\r\n"...))
}

// sendContinue tells the client to send the body although the replica hasn't asked for it.
func (x *exchange) sendContinue() error {
	return x.sendInterim([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

func (x *exchange) sendInterim(b []byte) error {
	if _, err := x.c.conn.Write(b); err != nil {
		x.upload.cut.Store(true)
		return err
	}
	return nil
}
