package web

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// question is the request on a link, until its answer has begun.
type question struct {
	x        *exchange
	c        *conversation
	received *atomic.Uint64 // counts the bytes of the body
	patience time.Time      // until when the replica may ask for the body; zero: it needn't, or has
	limit    time.Time      // when the header must have come; zero: there is no limit
	interim  int            // answers of 1xx that have come
}

// put sends the request, and awaits its answer.
func (q *question) put() error {
	c, u := q.c, &q.x.upload
	c.back.from, c.back.to = 0, 0
	if q.limit = q.x.course.headBy(); !q.limit.IsZero() {
		_ = q.x.link.SetReadDeadline(q.limit) // if it fails, so does the read
	}
	_, err := q.x.link.Write(c.out)
	if err != nil && (q.x.repeatable() || !u.deafens(err)) {
		return err
	}
	if c.request.Length > 0 && u.whole {
		q.received.Add(uint64(c.request.Length))
	}
	switch {
	case u.whole:
	case c.request.Continue:
		q.patience = earlier(time.Now().Add(continueTime), q.limit)
		_ = q.x.link.SetReadDeadline(q.patience) // if it fails, so does the read
	default:
		u.start(q.x.link, q.received)
	}
	for {
		if err := q.await(); err != nil {
			return err
		}
		if s := c.response.Status; s >= 200 || s == http.StatusSwitchingProtocols {
			return q.checked()
		}
	}
}

// continueTime is how long a replica may take to ask for a body before it gets it unasked.
const continueTime = time.Second

// await awaits a head, and passes it on if it is one of 1xx. It sends the body once it may be sent.
func (q *question) await() error {
	q.c.response.Reset()
	err, asked := q.read(), false
	switch s := q.c.response.Status; {
	case err == nil && (s >= 200 || s == http.StatusSwitchingProtocols):
		return nil
	case err == nil:
		asked = s == http.StatusContinue
		err = q.passInterim()
	case errors.Is(err, os.ErrDeadlineExceeded) && !q.patience.IsZero() && !q.patience.Equal(q.limit):
		asked = true
		q.c.response.Status = http.StatusContinue // ours
		err = q.sendInterim([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	if err == nil && asked && !q.patience.IsZero() {
		q.patience = time.Time{}
		_ = q.x.link.SetReadDeadline(q.limit) // if it fails, so does the read
		q.x.upload.start(q.x.link, q.received)
	}
	return err
}

// read reads the head of an answer.
func (q *question) read() error {
	c := q.c
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
		if err := c.back.read(q.x.link, maxAnswer); err != nil {
			return err
		}
	}
}

// checked returns an error if the final answer is not one to the request.
func (q *question) checked() error {
	a := &q.c.response
	if a.Status != http.StatusSwitchingProtocols {
		return nil
	}
	if to := (outgoing{q.c}).upgrade(); to == "" || !strings.EqualFold(a.Upgrade, to) {
		return fmt.Errorf("the replica changes to %q, the client asked for %q", a.Upgrade, q.c.request.Upgrade)
	}
	return nil
}

// maxInterim is how many answers of 1xx may come before the last one.
const maxInterim = 100

// passInterim passes an answer of 1xx on. HTTP/1.0 has none.
func (q *question) passInterim() error {
	a := &q.c.response
	if q.interim++; q.interim > maxInterim {
		return errors.New("the replica sends too many interim answers")
	}
	if q.c.request.Minor == 0 {
		return nil
	}
	b := appendStatus(make([]byte, 0, 512), 1, a.Status, a.Reason)
	for i := range a.Fields {
		if f := &a.Fields[i]; passes(f, a) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	return q.sendInterim(append(b, "\r\n"...))
}

func (q *question) sendInterim(b []byte) error {
	if _, err := q.c.conn.Write(b); err != nil {
		q.x.upload.cut.Store(true)
		return err
	}
	return nil
}
