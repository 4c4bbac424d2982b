package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/chain"
)

// errLate ends a request whose replica takes longer than its route allows.
var errLate = errors.New("the replica took too long")

// isLate reports whether a context has ended for that.
func isLate(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errLate) }

// options are what the route of a forwarding does besides.
type options struct {
	place
	in     *http.Request // as it came
	user   string        // who has come in with a password; "": none was needed
	slot   int           // of the client's cookie; 0: none
	sticky bool
	late   context.CancelCauseFunc // nil: there are no limits
	ends   []func()
}

// enter does what comes before a request is forwarded, and reports whether it may be.
func (o *options) enter(s *Server, snap *backend.Snapshot, line *access, w http.ResponseWriter) bool {
	if o.chain == nil {
		return true
	}
	q := o.question(snap, s.clientOf(o.in, addrPortOf(o.in.RemoteAddr).Addr()))
	q.Host, q.Path, q.Authorization = o.in.Host, o.in.URL.EscapedPath(), o.in.Header.Get("Authorization")
	if o.in.URL.RawQuery != "" || o.in.URL.ForceQuery {
		q.Query = "?" + o.in.URL.RawQuery
	}
	user, instead := o.chain.Enter(q)
	if instead != nil {
		line.noteError(instead.String())
		instead.Write(w, o.in)
		return false
	}
	o.user = user
	return true
}

// small returns the size up to which a body is read before a replica is chosen; 0: as elsewhere.
func (o *options) small(s *Server) int64 {
	size := o.in.ContentLength
	if o.chain == nil || size <= smallBody || size > o.chain.Buffer.Request || !s.budget.Take(size) {
		return 0
	}
	o.ends = append(o.ends, func() { s.budget.Return(size) })
	return size
}

// limit returns a request that ends when its replica takes longer than the route allows. end releases what that takes.
func (o *options) limit(r *http.Request) *http.Request {
	if o.chain == nil || o.chain.Timeouts == (rhumb.Timeouts{}) {
		return r
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	o.late = cancel
	o.ends = append(o.ends, func() { cancel(nil) })
	if whole := o.chain.Timeouts.Whole; whole > 0 {
		o.after(whole)
	}
	return r.WithContext(ctx)
}

// after ends the request after a while. The timer is stopped when the request ends.
func (o *options) after(d time.Duration) *time.Timer {
	t := time.AfterFunc(d, func() { o.late(errLate) })
	o.ends = append(o.ends, func() { t.Stop() })
	return t
}

// asked limits the time until the header of an answer. It returns what ends that limit.
func (o *options) asked() func() {
	if o.late == nil || o.chain.Timeouts.Header <= 0 {
		return func() {}
	}
	t := o.after(o.chain.Timeouts.Header)
	return func() { t.Stop() }
}

// pace limits the time between two parts of an answer.
func (o *options) pace(resp *http.Response) {
	if o.late != nil && o.chain.Timeouts.Idle > 0 {
		resp.Body = &patientBody{ReadCloser: resp.Body, limit: o.chain.Timeouts.Idle, late: o.late}
	}
}

// end releases what the options hold.
func (o *options) end() {
	for _, f := range o.ends {
		f()
	}
	o.ends = nil
}

// rewrite changes the request that a replica gets.
func (o *options) rewrite(pr *httputil.ProxyRequest) {
	if o.chain == nil {
		return
	}
	out := pr.Out
	for _, h := range []http.Header{out.Header, out.Trailer} {
		for name := range h {
			if o.chain.Request.Drops(name) {
				delete(h, name)
			}
		}
	}
	if o.chain.Strips() {
		raw := chain.Strip(pr.In.URL.EscapedPath(), o.path)
		if path, err := url.PathUnescape(raw); err == nil {
			out.URL.Path, out.URL.RawPath = path, raw
		}
	}
	for _, f := range o.added(o.user) {
		out.Header[http.CanonicalHeaderKey(f.Name)] = append(out.Header[http.CanonicalHeaderKey(f.Name)], f.Value)
	}
}

// finish changes the answer that the client gets.
func (o *options) finish(s *Server, m *backend.Member, resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	if kind, body := o.chain.Replacement(resp.StatusCode); body != nil {
		replaceBody(resp, kind, body, o.in.Method)
	}
	if o.chain != nil {
		if err := o.shape(s, resp); err != nil {
			return err
		}
	}
	if slot := m.Spec.Slot; o.sticky && slot > 0 && slot != o.slot {
		resp.Header.Add("Set-Cookie", s.slots.write(o.backend, slot, connOf(o.in).Encrypted()))
	}
	return nil
}

// replaceBody puts a page in place of the body of an answer.
func replaceBody(resp *http.Response, kind string, body []byte, method string) {
	_ = resp.Body.Close()
	for name := range resp.Header {
		if chain.OfBody(name) {
			delete(resp.Header, name)
		}
	}
	resp.Trailer, resp.TransferEncoding, resp.ContentLength = nil, nil, int64(len(body))
	resp.Header.Del("Trailer")
	resp.Header.Set("Content-Type", kind)
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	if method == http.MethodHead {
		body = nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
}

// shape changes the header of an answer, and its body if it is compressed or buffered.
func (o *options) shape(s *Server, resp *http.Response) error {
	h := resp.Header
	shape := o.chain.Shape(&chain.Head{Method: o.in.Method, Accepts: strings.Join(o.in.Header["Accept-Encoding"], ", "),
		Ranged: o.in.Header.Get("Range") != "", Status: resp.StatusCode, Length: resp.ContentLength,
		Type: h.Get("Content-Type"), Encoding: strings.Join(h["Content-Encoding"], ", "),
		CacheControl: strings.Join(h["Cache-Control"], ", "), Vary: strings.Join(h["Vary"], ", ")})
	var enc *chain.Encoder
	if shape.Coding != "" {
		if enc = s.encoders.Lend(shape.Coding); enc == nil {
			shape.Same()
		}
	}
	for name, values := range h {
		kept := values[:0]
		for _, v := range values {
			if v, stays := shape.Field(name, v); stays {
				kept = append(kept, v)
			}
		}
		if h[name] = kept; len(kept) == 0 {
			delete(h, name)
		}
	}
	for _, f := range shape.Added {
		h.Add(f.Name, f.Value)
	}
	flush := resp.ContentLength < 0
	err := o.buffer(s, resp)
	if enc != nil {
		h.Set("Content-Encoding", string(shape.Coding))
		h.Del("Content-Length")
		resp.ContentLength = -1
		resp.Body = enc.Body(resp.Body, flush)
	}
	return err
}

// buffer reads a body that isn't larger than the route's buffer, before the client gets its first byte.
func (o *options) buffer(s *Server, resp *http.Response) error {
	most := o.chain.Buffers(resp.ContentLength, resp.Header.Get("Content-Type"))
	if most == 0 || !s.budget.Take(most) {
		return nil
	}
	o.ends = append(o.ends, func() { s.budget.Return(most) })
	head, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return err
	}
	resp.Body = &partRead{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return nil
}

// partRead is a body of which the first part has been read.
type partRead struct {
	io.Reader
	io.Closer
}

// patientBody is a body that ends its request when nothing comes for too long.
type patientBody struct {
	io.ReadCloser
	limit time.Duration
	late  func(error)
	timer *time.Timer // nil: nothing has been read yet
}

// Read reads what the replica sends.
func (b *patientBody) Read(p []byte) (int, error) {
	if b.timer == nil {
		b.timer = time.AfterFunc(b.limit, func() { b.late(errLate) })
	} else {
		b.timer.Reset(b.limit)
	}
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	return n, err
}
