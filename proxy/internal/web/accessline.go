package web

import (
	"encoding/json"
	"io"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/chain"
)

// accessLine is what the access log says of one request. Its texts are used only until it has been written.
type accessLine struct {
	method, host, path, proto string
	status                    int
	bytes                     int64
	begun                     time.Time
	client                    netip.Addr
	agent, referer, request   string
	to                        *rhumb.Backend
	member                    *backend.Member // nil: no replica has answered
	err                       string
	ruling                    *chain.Ruling // nil: nothing was found, or looked for
}

// Why an answer isn't whole.
const (
	leftBefore = "the client left before an answer began"
	leftWithin = "the client left before the answer's end"
	brokenOff  = "the replica broke off its answer"
)

// write writes the line.
func (l *accessLine) write(to io.Writer) {
	b := lineBuffers.Get().(*[]byte)
	*b = l.append((*b)[:0])
	_, _ = to.Write(*b) // it never fails
	lineBuffers.Put(b)
}

var lineBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// append appends the line in JSON. The collector of logs knows the names of the stack, service, release and replica.
func (l *accessLine) append(b []byte) []byte {
	b = append(b, `{"level":"`...)
	b = append(b, l.level().String()...)
	b = append(b, '"')
	b = appendString(b, "method", l.method)
	b = appendString(b, "host", l.host)
	b = appendString(b, "path", l.path)
	b = appendString(b, "proto", l.proto)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(l.status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, l.bytes, 10)
	b = append(b, `,"duration":`...)
	b = strconv.AppendFloat(b, time.Since(l.begun).Seconds(), 'f', 6, 64)
	b = append(b, `,"client":"`...)
	b = l.client.AppendTo(b)
	b = append(b, '"')
	b = appendString(b, "user_agent", l.agent)
	b = appendString(b, "referer", l.referer)
	b = appendString(b, "request_id", l.request)
	b = appendString(b, "stack", l.to.Stack)
	b = appendString(b, "service", l.to.Service)
	if l.member != nil {
		b = append(b, `,"release":`...)
		b = strconv.AppendInt(b, int64(l.member.Spec.Release), 10)
		b = appendString(b, "replica", l.member.Spec.Name)
	}
	if v := l.ruling; v != nil {
		b = appendString(b, "waf", v.Word)
		b = appendString(b, "waf_rules", v.Rules())
		b = appendString(b, "waf_found", v.Why())
		if v.Finding.Score > 0 {
			b = append(b, `,"waf_score":"`...)
			b = append(strconv.AppendInt(b, int64(v.Finding.Score), 10), '"')
		}
	}
	b = appendString(b, "error", l.err)
	return append(b, '}')
}

// level returns how serious the line is.
func (l *accessLine) level() rhumb.Level {
	if l.ruling != nil {
		return max(rhumb.LevelWarn, levelOf(l.status))
	}
	return levelOf(l.status)
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
