package web

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
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

// appendRequest appends the request that a replica gets: that of the client, without what is between neighbours, and
// with what the proxy says of the client.
func (x *exchange) appendRequest(b []byte) []byte {
	r := &x.c.request
	b = append(append(b, r.Method...), ' ')
	b = r.AppendTarget(b)
	host := r.Host
	if host == "" {
		host = x.c.local
	}
	b = appendField(append(b, " HTTP/1.1\r\n"...), "Host", host)
	for i := range r.Fields {
		if f := &r.Fields[i]; x.asks(f) && !(len(r.Named) > 0 && r.Names(f.Name)) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	if r.Trailers {
		b = append(b, "Te: trailers\r\n"...)
	}
	if to := x.upgrade(); to != "" {
		b = appendField(append(b, "Connection: Upgrade\r\n"...), "Upgrade", to)
	}
	b = x.appendFraming(b)
	return append(x.appendOrigin(b, host), "\r\n"...)
}

// asks reports whether a field of the request is for the replica.
func (x *exchange) asks(f *http1.Field) bool {
	switch f.Kind {
	case http1.Host, http1.ContentLength, http1.TransferEncoding, http1.Connection, http1.Upgrade, http1.TE,
		http1.Trailer, http1.Hop, http1.Claim, http1.ForwardedFor, http1.ForwardedHost, http1.ForwardedProto:
		return false
	case http1.ForwardedOther:
		return x.c.trusted
	case http1.Expect:
		return x.c.request.Continue
	}
	return true
}

// upgrade returns the protocol that the replica is asked to change to; "": none.
func (x *exchange) upgrade() string {
	to := x.c.request.Upgrade
	if to == "" || carriesHTTP(to) {
		return ""
	}
	return to
}

func (x *exchange) appendFraming(b []byte) []byte {
	r := &x.c.request
	switch {
	case r.Length == http1.Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		return x.appendTrailerNames(b)
	case r.Length > 0 || r.Sized() || r.Method == http.MethodPost || r.Method == http.MethodPut ||
		r.Method == http.MethodPatch:
		b = append(b, "Content-Length: "...)
		return append(strconv.AppendInt(b, r.Length, 10), "\r\n"...)
	}
	return b
}

// appendTrailerNames declares the trailers that the client has declared and that may be trailers.
func (x *exchange) appendTrailerNames(b []byte) []byte {
	names := x.declared()
	if len(names) == 0 {
		return b
	}
	return appendField(b, "Trailer", strings.Join(names, ", "))
}

// declared returns the trailers that the client has declared and that may be trailers.
func (x *exchange) declared() (names []string) {
	r := &x.c.request
	for i := range r.Fields {
		if r.Fields[i].Kind != http1.Trailer {
			continue
		}
		for name := range strings.SplitSeq(r.Fields[i].Value, ",") {
			if name = strings.Trim(name, " \t"); http1.IsToken(name) && mayTrail(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// appendTrailers ends a body in chunks, with the trailers that were declared and may be trailers.
func (x *exchange) appendTrailers(b []byte) []byte {
	b = append(b, "0\r\n"...)
	if fields := x.upload.chunks.Trailers; len(fields) > 0 {
		names := x.declared()
		for i := range fields {
			for _, n := range names {
				if strings.EqualFold(fields[i].Name, n) {
					b = appendField(b, fields[i].Name, fields[i].Value)
					break
				}
			}
		}
	}
	return append(b, "\r\n"...)
}

// appendOrigin appends the fields that say who the client is and what it asked for. What the request itself claims is
// believed only from a trusted peer, and only in X-Forwarded-*: other fields may have passed such a peer unseen.
func (x *exchange) appendOrigin(b []byte, host string) []byte {
	c := x.c
	chain, proto := c.peerText, "http"
	if c.conn.Encrypted() {
		proto = "https"
	}
	b = append(b, "X-Forwarded-For: "...)
	if c.trusted {
		fields := c.request.Fields
		if before := http1.Join(fields, http1.ForwardedFor); before != "" {
			b = append(append(b, before...), ", "...)
		}
		if h := http1.First(fields, http1.ForwardedHost); h != "" {
			host = h
		}
		if p := http1.First(fields, http1.ForwardedProto); p != "" {
			proto = p
		}
	}
	b = append(append(b, chain...), "\r\n"...)
	b = appendField(b, "X-Forwarded-Host", host)
	b = appendField(b, "X-Forwarded-Proto", proto)
	b = append(b, "X-Real-Ip: "...)
	if !c.trusted {
		return append(append(b, c.peerText...), "\r\n"...)
	}
	return append(x.client().AppendTo(b), "\r\n"...)
}

// client returns the address of the client: that of the peer, or what a trusted peer says.
func (x *exchange) client() netip.Addr {
	if !x.c.trusted {
		return x.c.peer
	}
	return x.c.server.lastStranger(http1.Join(x.c.request.Fields, http1.ForwardedFor), x.c.peer)
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
	r, a := &x.c.request, &x.c.response
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
		b = appendField(b, f.Name, f.Value)
	}
	switch {
	case a.Length >= 0 && a.Status != http.StatusNoContent:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, a.Length, 10), "\r\n"...)
	case length < 0 && r.Minor == 1:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if names := http1.Join(a.Fields, http1.Trailer); names != "" && length == http1.Chunked {
			b = appendField(b, "Trailer", names)
		}
	}
	if !dated {
		b = appendField(b, "Date", x.c.server.dates.now(time.Now()))
	}
	if x.hsts > 0 {
		b = append(b, "Strict-Transport-Security: max-age="...)
		b = append(strconv.AppendInt(b, int64(x.hsts/time.Second), 10), "\r\n"...)
	}
	return append(x.appendConnection(b), "\r\n"...)
}

// appendConnection says whether the connection goes on, if that isn't what the client expects.
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
