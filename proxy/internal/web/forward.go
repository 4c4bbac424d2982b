package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"time"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/rate"
)

// forwarding is one request on its way to a replica and back. The ReverseProxy calls its methods one after the other:
// RoundTrip, then either finish or failed.
type forwarding struct {
	server  *Server
	backend string
	limits  *rate.Set       // nil: there are none
	pass    rate.Pass       // of them
	hsts    string          // Strict-Transport-Security of the answer; "": as the replica says
	body    *inbound.Body   // nil: the request has none
	member  *backend.Member // nil: no replica has answered
	access  *access         // nil: the request isn't logged
	options options
}

// forward sends a request to a replica of the backend, and its answer to the client.
func (f *forwarding) forward(p *inbound.Progress) {
	defer f.end()
	out, err := p.Request(f.options.small(f.server))
	if err != nil {
		f.failed(p, out, err)
		return
	}
	if ok, err := f.options.look(f.server, out, f.access, p); !ok {
		if err != nil {
			f.failed(p, out, err)
		}
		return
	}
	out = f.options.limit(out)
	reverse := f.server.reverse
	if f.options.chain != nil {
		reverse.Rewrite = f.rewrite
	}
	reverse.Transport, reverse.ModifyResponse, reverse.ErrorHandler = f, f.finish, f.failed
	reverse.ServeHTTP(p, out)
}

// rewrite makes the request that a replica gets from the one that came in.
func (f *forwarding) rewrite(pr *httputil.ProxyRequest) {
	f.server.rewrite(pr)
	f.options.rewrite(pr)
}

// end releases the replica. A request counts as open until the last byte of its answer.
func (f *forwarding) end() {
	f.options.end()
	if f.member != nil {
		f.member.Done()
	}
}

// RoundTrip sends the request to one of the backend's endpoints.
func (f *forwarding) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	err = f.server.deps.Balancer.ReachLike(r.Context(), f.backend, f.preference(), func(m *backend.Member) error {
		sent := time.Now()
		f.body.CountIn(&m.Bytes().Received)
		answered := f.options.asked()
		resp, err = f.server.deps.Balancer.Send(m.Endpoint, r)
		answered()
		if err != nil {
			f.noteLost(m, r.Context(), err, time.Since(sent))
			return err
		}
		m.NoteAnswered(resp.StatusCode, time.Since(sent))
		f.member = m
		f.access.noteMember(m, resp)
		if both, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
			resp.Body = &upgraded{m.Upgrade(both), f.access}
		} else {
			resp.Body = &answerBody{ReadCloser: resp.Body, ctx: r.Context(), member: m, access: f.access}
			f.options.pace(resp)
		}
		return nil
	})
	return resp, err
}

// preference returns which replica the client had before, if clients stay.
func (f *forwarding) preference() backend.Preference {
	o := &f.options
	if o.sticky = f.server.deps.Served.Load().Sticky(f.backend); o.sticky {
		o.slot = f.server.slots.read(f.backend, strings.Join(o.in.Header["Cookie"], "; "))
	}
	return backend.Preference{Slot: o.slot}
}

// noteLost counts a request that got no answer from a member, unless another member may answer it. One whose client
// broke off counts as served, for the time that it waited: the replica did not fail, and it may have been slow.
func (f *forwarding) noteLost(m *backend.Member, ctx context.Context, err error, took time.Duration) {
	switch {
	case errors.As(err, new(*backend.DialError)) || errors.Is(err, backend.ErrBusy):
	case f.clientFailed(ctx):
		m.NoteAnswered(statusLeft, took)
	default:
		m.NoteFailed()
		m.NoteCut()
	}
}

// finish completes the answer's header.
func (f *forwarding) finish(resp *http.Response) error {
	if f.hsts != "" {
		resp.Header.Set("Strict-Transport-Security", f.hsts)
	}
	return f.options.finish(f.server, f.member, resp)
}

// clientFailed reports whether the client broke off, not the replica.
func (f *forwarding) clientFailed(ctx context.Context) bool {
	return ctx.Err() != nil && !isLate(ctx) || f.body != nil && f.body.Cut()
}

// failed answers a request that got no answer from a replica.
func (f *forwarding) failed(w http.ResponseWriter, r *http.Request, err error) {
	var answer page.Page
	switch {
	case f.body != nil && f.body.Large():
		refuse(w, r, f.limits.TooLarge(&f.pass, time.Now()))
		f.access.noteError(errTooLarge.Error())
		return
	case f.body != nil && f.body.Slow():
		answer = page.TooSlow()
	case f.body != nil && f.body.Malformed():
		answer = page.Bad()
	case isLate(r.Context()):
		answer = page.Late(stackOf(f.server.deps.Served.Load(), f.backend))
	case f.clientFailed(r.Context()):
		panic(http.ErrAbortHandler) // the client is gone, or the proxy's time is over
	default:
		answer = failure(&f.server.deps, f.backend, err)
	}
	f.access.noteError(answer.String())
	f.options.chain.Page(answer).Write(w, r)
}

// upgraded is an upgraded connection to a replica.
type upgraded struct {
	io.ReadWriteCloser
	access *access
}

// Read reads what the replica sends.
func (u *upgraded) Read(b []byte) (int, error) {
	n, err := u.ReadWriteCloser.Read(b)
	u.access.noteBytes(n)
	return n, err
}

// answerBody is the body of a replica's answer. It counts its bytes, and the answers that break off.
type answerBody struct {
	io.ReadCloser
	ctx    context.Context
	member *backend.Member
	access *access
}

// Read reads what the replica sends.
func (a *answerBody) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if n > 0 {
		a.member.Bytes().Sent.Add(uint64(n))
	}
	if err != nil && err != io.EOF && (a.ctx.Err() == nil || isLate(a.ctx)) {
		a.member.NoteCut()
		a.access.noteError(brokenOff)
	}
	return n, err
}

// failure returns the page for a request that no replica has answered.
func failure(deps *Deps, name string, err error) page.Page {
	stack := stackOf(deps.Served.Load(), name)
	switch {
	case errors.Is(err, backend.ErrCrowded):
		return page.Crowded(stack)
	case errors.Is(err, backend.ErrBusy):
		return page.Busy(stack)
	case errors.Is(err, backend.ErrUnready), errors.Is(err, backend.ErrNoBackend):
		return page.Unready(stack)
	case errors.As(err, new(*backend.DialError)):
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return page.Late(stack)
	}
	deps.Log.Debug("request failed", "backend", name, "err", err)
	return page.Failed(stack)
}
