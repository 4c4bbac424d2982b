package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
)

// access is the line of one request to a backend whose requests are logged. It is the ResponseWriter of the answer, of
// which it notes the status and the size. Its methods that note something work on nil.
type access struct {
	http.ResponseWriter
	server *Server
	r      *http.Request
	to     *rhumb.Backend
	begun  time.Time
	status int // 0: no answer has begun
	bytes  atomic.Int64
	member *backend.Member // nil: no replica has answered
	err    string          // why the proxy answered, or why the answer isn't whole
}

// statusLeft is the status of a request whose client left before an answer began. It is never sent.
const statusLeft = 499

// newAccess returns the line of a request to a backend; nil: there is none.
func newAccess(s *Server, to *rhumb.Backend, w http.ResponseWriter, r *http.Request) *access {
	if s.deps.Access == nil || to == nil {
		return nil
	}
	return &access{ResponseWriter: w, server: s, r: r, to: to, begun: time.Now()}
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
		a.noteError("the client left before an answer began")
	case left && a.status != http.StatusSwitchingProtocols && !a.whole():
		a.noteError("the client left before the answer's end")
	case a.member == nil && a.status >= 400:
		a.noteError(http.StatusText(a.status))
	}
	b := lineBuffers.Get().(*[]byte)
	*b = a.append((*b)[:0])
	_, _ = a.server.deps.Access.Write(*b) // it never fails
	lineBuffers.Put(b)
}

// whole reports whether the answer has the length that its header says.
func (a *access) whole() bool {
	return a.r.Method == http.MethodHead || a.Header().Get("Content-Length") == strconv.FormatInt(a.bytes.Load(), 10)
}

var lineBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// append appends the line in JSON. The collector of logs knows the names of the stack, service, release and replica.
func (a *access) append(b []byte) []byte {
	r := a.r
	b = append(b, `{"level":"`...)
	b = append(b, levelOf(a.status).String()...)
	b = append(b, '"')
	b = appendString(b, "method", r.Method)
	b = appendString(b, "host", r.Host)
	b = appendString(b, "path", r.RequestURI)
	b = appendString(b, "proto", r.Proto)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, a.bytes.Load(), 10)
	b = append(b, `,"duration":`...)
	b = strconv.AppendFloat(b, time.Since(a.begun).Seconds(), 'f', 6, 64)
	b = appendString(b, "client", a.server.clientOf(r, addrPortOf(r.RemoteAddr).Addr()).String())
	b = appendString(b, "user_agent", r.UserAgent())
	b = appendString(b, "referer", r.Referer())
	b = appendString(b, "request_id", cmp.Or(r.Header.Get("X-Request-Id"), a.Header().Get("X-Request-Id")))
	b = appendString(b, "stack", a.to.Stack)
	b = appendString(b, "service", a.to.Service)
	if a.member != nil {
		b = append(b, `,"release":`...)
		b = strconv.AppendInt(b, int64(a.member.Spec.Release), 10)
		b = appendString(b, "replica", a.member.Spec.Name)
	}
	b = appendString(b, "error", a.err)
	return append(b, '}')
}

// levelOf returns how serious an answer is.
func levelOf(status int) rhumb.Level {
	switch {
	case status >= 500:
		return rhumb.LevelError
	case status >= 400:
		return rhumb.LevelWarn
	}
	return rhumb.LevelInfo
}

// maxAccessText is how many bytes of a text from a client are in the line.
const maxAccessText = 4000

// appendString appends a member of a JSON object, unless it is empty.
func appendString(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	s = s[:min(len(s), maxAccessText)]
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string can always be written
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
