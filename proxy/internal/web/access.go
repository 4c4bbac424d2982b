package web

import (
	"cmp"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/bans"
	"rhumb/proxy/internal/chain"
)

// access is the line of one request to a backend whose requests are logged. It is the ResponseWriter of the answer, of
// which it notes the status and the size. Its methods that note something work on nil.
type access struct {
	http.ResponseWriter
	server *Server
	r      *http.Request
	to     *rhumb.Backend // nil: no line is written
	name   string         // of the backend
	begun  time.Time
	banned bool // the client is banned, which isn't counted again
	status int  // 0: no answer has begun
	bytes  atomic.Int64
	member *backend.Member // nil: no replica has answered
	err    string          // why the proxy answered, or why the answer isn't whole

	ruling *chain.Ruling // nil: nothing was found, or looked for
	only   bool          // the line is only written with a ruling
}

// statusLeft is the status of a request whose client left before an answer began. It is never sent.
const statusLeft = 499

// newAccess returns the line of a request to a place; nil: it is neither logged, nor counted, nor looked at.
func newAccess(s *Server, snap *backend.Snapshot, at *place, w http.ResponseWriter, r *http.Request) *access {
	to := snap.Logged(at.backend)
	if s.deps.Access == nil {
		to = nil
	}
	only := to == nil && at.chain.Looks()
	if only {
		to = snap.Spec(at.backend)
	}
	if to == nil && !s.deps.Bans.Counts(at.backend) {
		return nil
	}
	return &access{ResponseWriter: w, server: s, r: r, to: to, name: at.backend, begun: time.Now(), only: only}
}

// noteRuling notes what looks for attacks has found.
func (a *access) noteRuling(v *chain.Ruling) {
	if a != nil {
		a.ruling = v
	}
}

// WriteHeader begins the answer.
func (a *access) WriteHeader(status int) {
	if status >= 200 && a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (a *access) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes.Add(int64(n))
	return n, err
}

// Unwrap lets http.ResponseController reach the rest.
func (a *access) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// noteError notes why the proxy answers, or why the answer isn't whole.
func (a *access) noteError(why string) {
	if a != nil {
		a.err = cmp.Or(a.err, why)
	}
}

// noteMember notes which replica has answered with a header.
func (a *access) noteMember(m *backend.Member, resp *http.Response) {
	if a == nil {
		return
	}
	a.member = m
	if resp.StatusCode == http.StatusSwitchingProtocols { // its header isn't written through WriteHeader
		a.status = resp.StatusCode
	}
}

// noteBytes notes bytes that a replica has sent on an upgraded connection.
func (a *access) noteBytes(n int) {
	if a != nil {
		a.bytes.Add(int64(n))
	}
}

// end writes the line. The answer has ended, however it did.
func (a *access) end() {
	switch left := a.r.Context().Err() != nil; {
	case a.status == 0:
		a.status = statusLeft
		a.noteError(leftBefore)
	case left && a.status != http.StatusSwitchingProtocols && !a.whole():
		a.noteError(leftWithin)
	case a.member == nil && a.status >= 400:
		a.noteError(http.StatusText(a.status))
	}
	r, client := a.r, a.server.clientOf(a.r, addrPortOf(a.r.RemoteAddr).Addr())
	if !a.banned {
		a.server.deps.Bans.Note(a.name, bans.Request{Client: client, Method: r.Method, Path: r.URL.Path, Status: a.status,
			Browser: r.UserAgent(), Language: r.Header.Get("Accept-Language")})
	}
	switch {
	case a.to == nil || a.only && a.ruling == nil:
		return
	case a.server.deps.Access == nil:
		a.server.logAttack(a.ruling, a.to.Name, client, r.Method, r.URL.Path)
		return
	}
	l := accessLine{method: r.Method, host: r.Host, path: r.RequestURI, proto: r.Proto, status: a.status,
		bytes: a.bytes.Load(), begun: a.begun, client: client,
		agent: r.UserAgent(), referer: r.Referer(), to: a.to, member: a.member, err: a.err, ruling: a.ruling,
		request: cmp.Or(r.Header.Get("X-Request-Id"), a.Header().Get("X-Request-Id"))}
	l.write(a.server.deps.Access)
}

// whole reports whether the answer has the length that its header says.
func (a *access) whole() bool {
	return a.r.Method == http.MethodHead || a.Header().Get("Content-Length") == strconv.FormatInt(a.bytes.Load(), 10)
}
