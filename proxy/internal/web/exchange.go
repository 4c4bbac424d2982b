package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/table"
)

// exchange is one request of a conversation, with its answer.
type exchange struct {
	c       *conversation
	snap    *backend.Snapshot
	backend string
	logged  *rhumb.Backend // nil: it isn't logged
	begun   time.Time
	path    string        // decoded
	hsts    time.Duration // of the answer's Strict-Transport-Security; 0: as the replica says
	upload  upload
	member  *backend.Member // nil: no replica has answered
	link    *backend.Link   // to it; nil: none, or no more
	stale   bool            // an idle link was closed by its replica: the request gets a link of its own
	interim int             // answers of 1xx that have come

	last   bool  // the connection ends with the answer
	status int   // of the answer; 0: none has begun
	sent   int64 // bytes of the answer's body
	err    string
}

// reset makes ready for another request.
func (x *exchange) reset() {
	c := x.c
	x.snap, x.backend, x.logged, x.begun, x.path, x.hsts = c.server.deps.Served.Load(), "", nil, time.Now(), "", 0
	x.member, x.link, x.stale, x.interim = nil, nil, false, 0
	x.last, x.status, x.sent, x.err = false, 0, 0, ""
	x.upload.c = c
	x.upload.reset(&c.request)
}

// run answers the request, and reports whether another may follow on the connection.
func (x *exchange) run() (more bool) {
	x.reset()
	r := &x.c.request
	x.last = r.Close || r.Asks || x.c.server.leaving.Load()
	x.path = r.Decoded()
	known := x.route()
	x.logged = x.snap.Logged(x.backend)
	if x.c.server.deps.Access == nil {
		x.logged = nil
	}
	x.c.watch.begin(x.begun)
	defer x.end()
	switch ok := x.pass(); {
	case !ok:
	case !known:
		x.refuse(page.NotFound(&http.Request{Host: r.Host}))
	case r.Method == http.MethodConnect:
		x.refuse(page.NotAllowed())
	default:
		x.forward()
	}
	if !x.upload.stop() {
		x.last, x.c.dirty = true, true
	}
	if x.last && len(x.c.in.bytes()) > 0 {
		x.c.dirty = true
	}
	return !x.last
}

// route finds the backend of the request.
func (x *exchange) route() (known bool) {
	l, ok := x.snap.Listeners[x.c.conn.Bound]
	switch {
	case !ok || l.Protocol != rhumb.HTTP && l.Protocol != rhumb.HTTPS:
		return false // the listener is gone, or has another protocol now; this connection was kept alive
	case l.Backend != "":
		x.backend = l.Backend
		return true
	}
	x.backend, ok = x.snap.Rules.Match(x.c.request.Host, x.path)
	return ok
}

// pass does what comes before a request is forwarded, and reports whether it may be.
func (x *exchange) pass() bool {
	r := &x.c.request
	if r.Target == "*" {
		x.own(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		return false
	}
	if x.enters() {
		return true
	}
	answered := false
	x.own(func(w http.ResponseWriter, r *http.Request) {
		_, answered = x.c.server.entrance(x.snap, w, r)
	})
	return !answered
}

// enters reports whether the request passes the entrance. It is the common part of Server.entrance, and allocates
// nothing.
func (x *exchange) enters() bool {
	conn, l := x.c.conn, x.snap.Listeners[x.c.conn.Bound]
	if !conn.Encrypted() && (l.Protocol != rhumb.HTTP || l.Backend != "") {
		return true
	}
	host := table.RequestHost(x.c.request.Host)
	cert, ok := x.snap.TLS.Find(host)
	if conn.Encrypted() {
		x.hsts = cert.HSTS
		return conn.Covers(host)
	}
	if strings.HasPrefix(x.path, challengePath) {
		return false
	}
	return !ok || cert.Plain || x.snap.TLS.Port == 0 || !x.c.server.deps.Certificates.Good(host)
}

// forward sends the request to a replica, and its answer to the client.
func (x *exchange) forward() {
	c := x.c
	c.out = x.appendRequest(c.out[:0])
	var err error
	if x.upload.small(&c.request) {
		c.out, err = x.upload.readSmall(c.out)
	}
	if err == nil {
		err = c.server.deps.Balancer.Reach(c.ctx, x.backend, c.try)
	}
	if err != nil {
		x.failed(err)
		return
	}
	if c.response.Status == http.StatusSwitchingProtocols {
		x.tunnel()
		return
	}
	if x.upload.overtaken() {
		x.last = true // an answer that overtakes its body must say that it is the last
		if x.upload.malformed.Load() {
			x.failed(errMalformed)
			return
		}
	}
	x.deliver()
}

var errMalformed = errors.New("the body can't be read")

// try sends the request to a member, and returns once its answer has begun.
func (x *exchange) try(m *backend.Member) error {
	sent := time.Now()
	err := x.ask(m)
	if err == nil {
		m.NoteAnswered(x.c.response.Status, time.Since(sent))
		x.member = m
		return nil
	}
	x.drop()
	switch {
	case errors.As(err, new(*backend.DialError)) || errors.Is(err, backend.ErrBusy):
	case x.clientFailed():
		m.NoteAnswered(statusLeft, time.Since(sent))
	default:
		m.NoteFailed()
		m.NoteCut()
	}
	return err
}

// clientFailed reports whether the client broke off, not the replica.
func (x *exchange) clientFailed() bool {
	return x.c.ctx.Err() != nil || x.upload.cut.Load()
}

// drop closes the link.
func (x *exchange) drop() {
	if x.link != nil {
		_ = x.link.Close()
		x.c.hold(nil)
		x.link = nil
	}
}

// failed answers a request that got no answer from a replica.
func (x *exchange) failed(err error) {
	var p page.Page
	switch u := &x.upload; {
	case u.slow.Load():
		p = page.TooSlow()
	case u.malformed.Load():
		p = page.Bad()
	case x.clientFailed():
		x.last = true // the client is gone, or the proxy's time is over
		return
	default:
		p = x.c.server.failure(x.backend, err)
	}
	x.upload.stop()
	x.noteError(p.String())
	x.refuse(p)
}

// failure returns the page for a request that no replica has answered.
func (s *Server) failure(name string, err error) page.Page {
	stack := s.deps.Served.Load().Stack(name)
	if stack == "" {
		stack = "The service"
	}
	switch {
	case errors.Is(err, backend.ErrCrowded):
		return page.Crowded(stack)
	case errors.Is(err, backend.ErrBusy):
		return page.Busy(stack)
	case errors.Is(err, backend.ErrUnready), errors.Is(err, backend.ErrNoBackend):
		return page.Unready(stack)
	}
	s.deps.Log.Debug("request failed", "backend", name, "err", err)
	return page.Failed(stack)
}

// noteError notes why the proxy answers, or why the answer isn't whole.
func (x *exchange) noteError(why string) {
	if x.err == "" {
		x.err = why
	}
}

// end ends the exchange, and writes its line.
func (x *exchange) end() {
	x.c.watch.rest()
	x.drop()
	if x.member != nil {
		x.member.Done()
	}
	if x.logged == nil {
		return
	}
	switch {
	case x.status == 0:
		x.status = statusLeft
		x.noteError(leftBefore)
	case x.member == nil && x.status >= 400:
		x.noteError(http.StatusText(x.status))
	}
	r, s := &x.c.request, x.c.server
	l := line{method: r.Method, host: r.Host, path: r.Target, proto: "HTTP/1.1", status: x.status, bytes: x.sent,
		begun: x.begun, client: x.client(), to: x.logged, member: x.member, err: x.err,
		agent: http1.First(r.Fields, http1.UserAgent), referer: http1.First(r.Fields, http1.Referer),
		request: http1.First(r.Fields, http1.RequestID)}
	if r.Minor == 0 {
		l.proto = "HTTP/1.0"
	}
	if l.request == "" && x.member != nil {
		l.request = http1.First(x.c.response.Fields, http1.RequestID)
	}
	s.log(&l)
}

// own answers with what do writes. The answer is one of the proxy's own; none of the body has been read, unless a
// replica was to get it. Nothing is sent if do writes nothing.
func (x *exchange) own(do func(http.ResponseWriter, *http.Request)) {
	c := x.c
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(c.head, []byte("\r\n")))))
	if err != nil {
		r = &http.Request{Header: http.Header{}, Method: c.request.Method, Host: c.request.Host}
	}
	r.RemoteAddr = c.conn.RemoteAddr().String()
	x.write(r.WithContext(context.WithValue(c.ctx, connKey{}, c.conn)), do)
}

// refuse answers with a page.
func (x *exchange) refuse(p page.Page) {
	h := http.Header{}
	if accept := http1.First(x.c.request.Fields, http1.Accept); accept != "" {
		h.Set("Accept", accept)
	}
	x.say(p, &http.Request{Header: h, Method: x.c.request.Method, Host: x.c.request.Host})
}

func (x *exchange) say(p page.Page, r *http.Request) {
	x.write(r, func(w http.ResponseWriter, r *http.Request) { p.Write(w, r) })
}

// write sends an answer of the proxy's own.
func (x *exchange) write(r *http.Request, do func(http.ResponseWriter, *http.Request)) {
	c := x.c
	w := &answer{header: http.Header{}}
	do(w, r)
	if w.status == 0 {
		return
	}
	x.last = x.last || w.header.Get("Connection") == "close" || !x.upload.whole
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
