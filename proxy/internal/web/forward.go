package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/page"
)

// forwarding is one request on its way to a replica and back. The ReverseProxy calls its methods one after the other:
// RoundTrip, then either finish or failed.
type forwarding struct {
	server  *Server
	backend string
	hsts    string          // Strict-Transport-Security of the answer; "": as the replica says
	body    *inbound.Body   // nil: the request has none
	member  *backend.Member // nil: no replica has answered
}

// forward sends a request to a replica of the backend, and its answer to the client.
func (s *Server) forward(p *inbound.Progress, r *http.Request, backend, hsts string) {
	f := &forwarding{server: s, backend: backend, hsts: hsts, body: p.Body()}
	defer f.end()
	out, err := p.Request()
	if err != nil {
		f.failed(p, out, err)
		return
	}
	reverse := s.reverse
	reverse.Transport, reverse.ModifyResponse, reverse.ErrorHandler = f, f.finish, f.failed
	reverse.ServeHTTP(p, out)
}

// end releases the replica. A request counts as open until the last byte of its answer.
func (f *forwarding) end() {
	if f.member != nil {
		f.member.Done()
	}
}

// RoundTrip sends the request to one of the backend's endpoints.
func (f *forwarding) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	err = f.server.deps.Balancer.Reach(r.Context(), f.backend, func(m *backend.Member) error {
		sent := time.Now()
		resp, err = f.server.deps.Balancer.Send(m.Endpoint, r)
		if err != nil {
			if !errors.As(err, new(*backend.DialError)) && !errors.Is(err, backend.ErrBusy) &&
				!f.clientFailed(r.Context()) {
				m.NoteError()
				m.NoteCut()
			}
			return err
		}
		m.NoteAnswered(time.Since(sent))
		if resp.StatusCode >= 500 {
			m.NoteError()
		}
		f.member = m
		if both, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
			resp.Body = m.Upgrade(both)
		} else {
			resp.Body = &answerBody{ReadCloser: resp.Body, ctx: r.Context(), member: m}
		}
		return nil
	})
	return resp, err
}

// finish completes the answer's header.
func (f *forwarding) finish(resp *http.Response) error {
	if f.hsts != "" {
		resp.Header.Set("Strict-Transport-Security", f.hsts)
	}
	return nil
}

// clientFailed reports whether the client broke off, not the replica.
func (f *forwarding) clientFailed(ctx context.Context) bool {
	return ctx.Err() != nil || f.body != nil && f.body.Cut()
}

// failed answers a request that got no answer from a replica.
func (f *forwarding) failed(w http.ResponseWriter, r *http.Request, err error) {
	stack := f.server.deps.Served.Load().Stack(f.backend)
	if stack == "" {
		stack = "The service"
	}
	var answer page.Page
	switch {
	case f.body != nil && f.body.Slow():
		answer = page.TooSlow()
	case f.body != nil && f.body.Malformed():
		answer = page.Bad()
	case f.clientFailed(r.Context()):
		panic(http.ErrAbortHandler) // the client is gone, or the proxy's time is over
	case errors.Is(err, backend.ErrCrowded):
		answer = page.Crowded(stack)
	case errors.Is(err, backend.ErrBusy):
		answer = page.Busy(stack)
	case errors.Is(err, backend.ErrUnready), errors.Is(err, backend.ErrNoBackend):
		answer = page.Unready(stack)
	default:
		f.server.deps.Log.Debug("request failed", "backend", f.backend, "err", err)
		answer = page.Failed(stack)
	}
	answer.Write(w, r)
}

// answerBody is the body of a replica's answer. It counts the answers that break off.
type answerBody struct {
	io.ReadCloser
	ctx    context.Context
	member *backend.Member
}

// Read reads what the replica sends.
func (a *answerBody) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if err != nil && err != io.EOF && a.ctx.Err() == nil {
		a.member.NoteCut()
	}
	return n, err
}
