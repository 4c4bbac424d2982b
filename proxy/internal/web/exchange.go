package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/rate"
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
	limits  rate.Pass       // of the backend
	member  *backend.Member // nil: no replica has answered
	link    *backend.Link   // to it; nil: none, or no more
	stale   bool            // an idle link was closed by its replica: the request gets a link of its own
	course  course          // what its route does besides

	banned bool  // the client is
	last   bool  // the connection ends with the answer
	status int   // of the answer; 0: none has begun
	sent   int64 // bytes of the answer's body
	err    string
}

// reset makes ready for another request.
func (x *exchange) reset() {
	c := x.c
	x.snap, x.backend, x.logged, x.begun, x.path, x.hsts = c.server.deps.Served.Load(), "", nil, time.Now(), "", 0
	x.member, x.link, x.stale = nil, nil, false
	x.course = course{x: x}
	x.banned, x.last, x.status, x.sent, x.err = false, false, 0, 0, ""
	x.upload.c = c
	x.upload.reset(&c.request)
}

// forget lets go of what the last request used.
func (x *exchange) forget() {
	x.snap, x.logged, x.member, x.link, x.path, x.backend, x.err = nil, nil, nil, nil, "", "", ""
	x.upload.raw, x.upload.done, x.course = nil, nil, course{}
	x.upload.chunks.Reset()
}

// run answers the request, and reports whether another may follow on the connection.
func (x *exchange) run() (more bool) {
	x.reset()
	r := &x.c.request
	x.last = r.Close || r.Asks
	x.path = r.Decoded()
	var known bool
	x.course.place, known = placeOf(x.snap, x.c.conn.Bound, r.Host, x.path)
	x.backend = x.course.backend
	x.logged = x.snap.Logged(x.backend)
	if x.c.server.deps.Access == nil {
		x.logged = nil
	}
	x.c.watch.begin(x.begun)
	defer x.end()
	switch {
	case banning{x}.refuses():
	case !x.pass():
	case !known:
		reply{x}.page(page.NotFound(&http.Request{Host: r.Host}))
	case r.Method == http.MethodConnect:
		reply{x}.page(page.NotAllowed())
	case gate{x}.refuses():
	case x.course.enter():
		x.forward()
	}
	if !x.upload.stop() {
		x.last, x.c.dirty = true, true
	}
	if x.last && (r.Asks || len(x.c.in.bytes()) > 0) {
		x.c.dirty = true
	}
	return !x.last
}

// pass does what comes before a request is forwarded, and reports whether it may be.
func (x *exchange) pass() bool {
	r := &x.c.request
	if r.Target == "*" {
		reply{x}.with(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		return false
	}
	if x.c.server.Testimonies.answers(x.path) {
		reply{x}.with(x.c.server.Testimonies.answer)
		return false
	}
	if x.enters() {
		return true
	}
	answered := false
	reply{x}.with(func(w http.ResponseWriter, r *http.Request) {
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
	c.out = outgoing{c}.append(c.out[:0])
	var err error
	if x.upload.small(&c.request, x.course.small()) {
		c.out, err = x.upload.readSmall(c.out)
	}
	if err == nil {
		err = x.course.reach()
	}
	if err != nil {
		x.failed(err)
		return
	}
	early, switches := x.upload.overtaken(), c.response.Status == http.StatusSwitchingProtocols
	switch {
	case early && (x.upload.malformed.Load() || x.upload.large.Load()):
		x.last = true
		x.failed(errMalformed)
	case early && switches: // what comes next would be a part of the body, and of the other protocol
		x.last = true
		x.failed(errEarlySwitch)
	case switches:
		x.upload.stop() // so that what came behind the body isn't lost
		x.tunnel()
	default:
		x.last = x.last || early // an answer that overtakes its body must say that it is the last
		if !x.course.replace() {
			x.deliver()
		}
	}
}

// Why an answer isn't passed on.
var (
	errMalformed   = errors.New("the body can't be read")
	errEarlySwitch = errors.New("the replica changes the protocol before the request has ended")
)

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
	case u.large.Load():
		gate{x}.tooLarge()
		return
	case u.slow.Load():
		p = page.TooSlow()
	case u.malformed.Load():
		p = page.Bad()
	case x.clientFailed():
		x.last = true // the client is gone, or the proxy's time is over
		return
	default:
		p = failure(&x.c.server.deps, x.backend, err)
	}
	x.upload.stop()
	x.noteError(p.String())
	reply{x}.page(p)
}

// noteError notes why the proxy answers, or why the answer isn't whole.
func (x *exchange) noteError(why string) {
	if x.err == "" {
		x.err = why
	}
}

// noteAttack has a request with a ruling logged, also of a backend whose requests aren't.
func (x *exchange) noteAttack() {
	s := x.c.server
	if s.deps.Access != nil {
		x.logged = x.snap.Spec(x.backend)
		return
	}
	s.logAttack(x.course.ruling, x.backend, outgoing{x.c}.client(), x.c.request.Method, x.path)
}

// end ends the exchange, and writes its line.
func (x *exchange) end() {
	x.c.watch.rest()
	x.drop()
	x.limits.End()
	x.course.end()
	if x.member != nil {
		x.member.Done()
	}
	banning{x}.count()
	if x.course.ruling != nil {
		x.noteAttack()
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
	l := accessLine{method: r.Method, host: r.Host, path: r.Target, proto: "HTTP/1.1", status: x.status, bytes: x.sent,
		begun: x.begun, client: outgoing{x.c}.client(), to: x.logged, member: x.member, err: x.err,
		ruling: x.course.ruling,
		agent:  http1.First(r.Fields, http1.UserAgent), referer: http1.First(r.Fields, http1.Referer),
		request: http1.First(r.Fields, http1.RequestID)}
	if r.Minor == 0 {
		l.proto = "HTTP/1.0"
	}
	if l.request == "" && x.member != nil {
		l.request = http1.First(x.c.response.Fields, http1.RequestID)
	}
	l.write(s.deps.Access)
}
