package web

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/http1"
)

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// appendStatus appends the first line of an answer.
func appendStatus(b []byte, minor, status int, reason string) []byte {
	b = append(append(b, "HTTP/1."...), byte('0'+minor), ' ')
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	if reason == "" {
		reason = http.StatusText(status)
	}
	return append(append(b, reason...), "\r\n"...)
}

// passes reports whether a field of an answer is for the client.
func passes(f *http1.Field, a *http1.Response) bool {
	switch f.Kind {
	case http1.ContentLength, http1.TransferEncoding, http1.Connection, http1.Upgrade, http1.TE, http1.Hop,
		http1.Trailer:
		return false
	}
	return len(a.Named) == 0 || !a.Names(f.Name)
}

// appendAnswer appends the head of the replica's answer.
func (x *exchange) appendAnswer(b []byte, length int64) []byte {
	r, a, s := &x.c.request, &x.c.response, &x.course
	b = appendStatus(b, r.Minor, a.Status, a.Reason)
	dated := false
	for i := range a.Fields {
		f := &a.Fields[i]
		switch {
		case !passes(f, a), f.Kind == http1.StrictTransport && x.hsts > 0:
			continue
		case f.Kind == http1.Date:
			dated = true
		}
		value, stays := f.Value, true
		if s.chain != nil {
			value, stays = s.shape.Field(f.Name, value)
		}
		if stays {
			b = appendField(b, f.Name, value)
		}
	}
	b = s.appendLength(s.appendShaped(b), length)
	if !dated {
		b = appendField(b, "Date", x.c.server.dates.now(time.Now()))
	}
	if x.hsts > 0 {
		b = append(b, "Strict-Transport-Security: max-age="...)
		b = append(strconv.AppendInt(b, int64(x.hsts/time.Second), 10), "\r\n"...)
	}
	return append(x.appendConnection(b), "\r\n"...)
}

// appendLength appends what frames the body of the replica's answer.
func (s *course) appendLength(b []byte, length int64) []byte {
	r, a := &s.x.c.request, &s.x.c.response
	switch {
	case s.enc == nil && a.Length >= 0 && a.Status != http.StatusNoContent:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, a.Length, 10), "\r\n"...)
	case (s.enc != nil || length < 0) && r.Minor == 1:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if names := http1.Join(a.Fields, http1.Trailer); names != "" && length == http1.Chunked {
			b = appendField(b, "Trailer", names)
		}
	}
	return b
}

// appendConnection appends whether the connection goes on, if that isn't what the client expects.
func (x *exchange) appendConnection(b []byte) []byte {
	switch {
	case x.last:
		return append(b, "Connection: close\r\n"...)
	case x.c.request.Minor == 0:
		return append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

// dates has the date of this second, as HTTP writes it.
type dates struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   string
}

func (d *dates) now(now time.Time) string {
	second := now.Unix()
	if l := d.last.Load(); l != nil && l.second == second {
		return l.text
	}
	l := &date{second, now.UTC().Format(http.TimeFormat)}
	d.last.Store(l)
	return l.text
}
