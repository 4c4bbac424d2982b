package web

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/http1"
)

// outgoing is the request that a replica gets: that of the client, without what is between neighbours, and with what
// the proxy says of the client.
type outgoing struct{ c *conversation }

// append appends the head.
func (o outgoing) append(b []byte) []byte {
	r := &o.c.request
	b = append(append(b, r.Method...), ' ')
	b = o.appendTarget(b)
	host := r.Host
	if host == "" {
		host = calledAt(o.c.conn)
	}
	b = appendField(append(b, " HTTP/1.1\r\n"...), "Host", host)
	for i := range r.Fields {
		if f := &r.Fields[i]; o.passes(f) && !(len(r.Named) > 0 && r.Names(f.Name)) && !o.drops(f.Name) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	if r.Trailers {
		b = append(b, "Te: trailers\r\n"...)
	}
	if to := o.upgrade(); to != "" {
		b = appendField(append(b, "Connection: Upgrade\r\n"...), "Upgrade", to)
	}
	b = o.appendFraming(b)
	b = o.appendOrigin(b, host)
	if o.c.exchange.course.chain != nil {
		b = o.appendAdded(b)
	}
	return append(b, "\r\n"...)
}

// appendTarget appends the target: that of the client, or what is left of it without the route's path.
func (o outgoing) appendTarget(b []byte) []byte {
	r, s := &o.c.request, &o.c.exchange.course
	if !s.chain.Strips() {
		return r.AppendTarget(b)
	}
	whole := r.Path
	r.Path = chain.Strip(whole, s.path)
	b = r.AppendTarget(b)
	r.Path = whole
	return b
}

// drops reports whether the route drops a field.
func (o outgoing) drops(name string) bool {
	s := &o.c.exchange.course
	return s.chain != nil && s.chain.Request.Drops(name)
}

// appendAdded appends the fields that the route adds.
func (o outgoing) appendAdded(b []byte) []byte {
	s := &o.c.exchange.course
	for _, f := range s.added(s.user) {
		b = appendField(b, f.Name, f.Value)
	}
	return b
}

// passes reports whether a field of the request is for the replica.
func (o outgoing) passes(f *http1.Field) bool {
	switch f.Kind {
	case http1.Host, http1.ContentLength, http1.TransferEncoding, http1.Connection, http1.Upgrade, http1.TE,
		http1.Trailer, http1.Hop, http1.Claim, http1.ForwardedFor, http1.ForwardedHost, http1.ForwardedProto:
		return false
	case http1.ForwardedOther:
		return o.c.trusted
	case http1.Expect:
		return o.c.request.Continue
	}
	return true
}

// upgrade returns the protocol that the replica is asked to change to; "": none.
func (o outgoing) upgrade() string {
	to := o.c.request.Upgrade
	if to == "" || carriesHTTP(to) {
		return ""
	}
	return to
}

func (o outgoing) appendFraming(b []byte) []byte {
	r := &o.c.request
	switch {
	case r.Length == http1.Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		return o.appendTrailerNames(b)
	case r.Length > 0 || r.Sized() || r.Method == http.MethodPost || r.Method == http.MethodPut ||
		r.Method == http.MethodPatch:
		b = append(b, "Content-Length: "...)
		return append(strconv.AppendInt(b, r.Length, 10), "\r\n"...)
	}
	return b
}

// appendTrailerNames declares the trailers that the client has declared and that may be trailers.
func (o outgoing) appendTrailerNames(b []byte) []byte {
	names := o.declared()
	if len(names) == 0 {
		return b
	}
	return appendField(b, "Trailer", strings.Join(names, ", "))
}

// maxDeclared is how many names of trailers are looked at. Each trailer that comes is compared with all of them.
const maxDeclared = 64

// declared returns the trailers that the client has declared and that may be trailers.
func (o outgoing) declared() (names []string) {
	r, seen := &o.c.request, 0
	for i := range r.Fields {
		if r.Fields[i].Kind != http1.Trailer {
			continue
		}
		for name := range strings.SplitSeq(r.Fields[i].Value, ",") {
			if seen++; seen > maxDeclared {
				return names
			}
			if name = strings.Trim(name, " \t"); http1.IsToken(name) && mayTrail(name) && !o.drops(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// appendTrailers ends a body in chunks, with the trailers that were declared and may be trailers.
func (o outgoing) appendTrailers(b []byte) []byte {
	b = append(b, "0\r\n"...)
	if fields := o.c.exchange.upload.chunks.Trailers; len(fields) > 0 {
		names := o.declared()
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
func (o outgoing) appendOrigin(b []byte, host string) []byte {
	c := o.c
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
	return append(o.client().AppendTo(b), "\r\n"...)
}

// client returns the address of the client: that of the peer, or what a trusted peer says.
func (o outgoing) client() netip.Addr {
	if !o.c.trusted {
		return o.c.peer
	}
	return o.c.server.lastStranger(http1.Join(o.c.request.Fields, http1.ForwardedFor), o.c.peer)
}
