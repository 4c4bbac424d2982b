package web

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/page"
)

// reply is an answer of the proxy's own.
type reply struct{ x *exchange }

// with sends what do writes, if it writes anything.
func (p reply) with(do func(http.ResponseWriter, *http.Request)) {
	c := p.x.c
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(c.head, []byte("\r\n")))))
	if err != nil {
		r = &http.Request{Header: http.Header{}, Method: c.request.Method, Host: c.request.Host}
	}
	r.RemoteAddr = c.conn.RemoteAddr().String()
	p.write(r.WithContext(context.WithValue(c.ctx, connKey{}, c.conn)), do)
}

// page sends a page, in the form that the client prefers.
func (p reply) page(it page.Page) {
	p.write(p.request(), p.x.course.chain.Page(it).Write)
}

// answer sends the answer of a chain, in the form that the client prefers.
func (p reply) answer(a *chain.Answer) {
	p.x.noteError(a.String())
	p.write(p.request(), a.Write)
}

// request returns what answers look at.
func (p reply) request() *http.Request {
	r := &p.x.c.request
	h := http.Header{}
	if accept := http1.First(r.Fields, http1.Accept); accept != "" {
		h.Set("Accept", accept)
	}
	return &http.Request{Header: h, Method: r.Method, Host: r.Host}
}

func (p reply) write(r *http.Request, do func(http.ResponseWriter, *http.Request)) {
	x, c := p.x, p.x.c
	w := &answer{header: http.Header{}}
	do(w, r)
	if w.status == 0 {
		return
	}
	x.last = x.last || w.header.Get("Connection") == "close" || !x.upload.arrived() || c.server.leaving.Load()
	x.status, x.sent = w.status, int64(len(w.body))
	b := appendStatus(c.out[:0], c.request.Minor, w.status, http.StatusText(w.status))
	length := w.header.Get("Content-Length")
	if length == "" {
		length = strconv.Itoa(len(w.body))
	}
	b = appendField(b, "Content-Length", length)
	w.header.Del("Content-Length")
	w.header.Del("Connection")
	for name, values := range w.header {
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	b = appendField(b, "Date", c.server.dates.now(time.Now()))
	b = x.appendConnection(b)
	c.out = append(append(b, "\r\n"...), w.body...)
	if _, err := c.conn.Write(c.out); err != nil {
		x.last = true
		x.noteError(leftWithin)
	}
}

// answer is an answer of the proxy's own, before it is sent.
type answer struct {
	header http.Header
	status int
	body   []byte
}

// Header returns the header.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sets the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write appends to the body.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b...)
	return len(b), nil
}

var _ io.Writer = (*answer)(nil)
