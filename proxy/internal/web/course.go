package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/page"
)

// course is what the route of an exchange does besides forwarding. Without options it does nothing.
type course struct {
	x *exchange
	place
	user   string         // who has come in with a password; "": none was needed
	until  time.Time      // when all of the answer must have come; zero: there is no limit
	slot   int            // of the client's cookie; 0: none
	sticky bool           // the client gets a cookie
	shape  chain.Shape    // how the answer changes
	enc    *chain.Encoder // of its body; nil: it goes as it came
	hold   int            // bytes of the answer that may wait for its end
	taken  int64          // of the server's budget for buffers

	ruling *chain.Ruling // of what looks for attacks; nil: there is none, or nothing was found
}

// enter does what comes before a request is forwarded, and reports whether it may be.
func (s *course) enter() bool {
	r := &s.x.c.request
	if s.evades {
		reply{s.x}.page(page.Bad())
		return false
	}
	if s.chain == nil {
		return true
	}
	if w := s.chain.Timeouts.Whole; w > 0 {
		s.until = s.x.begun.Add(w)
	}
	q := s.question(s.x.snap, outgoing{s.x.c}.client())
	q.Host, q.Path, q.Query, q.Authorization = r.Host, r.Path, r.Query, named(r.Fields, "authorization")
	user, instead := s.chain.Enter(q)
	if instead != nil {
		reply{s.x}.answer(instead)
		return false
	}
	s.user = user
	return s.look()
}

// small returns the size up to which a request's body is read before a replica is chosen.
func (s *course) small() int64 {
	if s.chain == nil || s.chain.Buffer.Request <= smallBody {
		return smallBody
	}
	size := s.x.c.request.Length
	if size <= smallBody || size > s.chain.Buffer.Request || !s.take(size) {
		return smallBody
	}
	return size
}

// take takes a part of the server's budget for buffers. end returns it.
func (s *course) take(n int64) bool {
	if !s.x.c.server.budget.Take(n) {
		return false
	}
	s.taken += n
	return true
}

// end returns what the course has taken.
func (s *course) end() {
	if s.enc != nil {
		s.enc.Return()
		s.enc = nil
	}
	if s.taken > 0 {
		s.x.c.server.budget.Return(s.taken)
		s.taken = 0
	}
}

// reach sends the request to a replica: that of the client's slot, if clients stay.
func (s *course) reach() error {
	c := s.x.c
	ctx, b := c.ctx, c.server.deps.Balancer
	if !s.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, s.until)
		defer cancel()
	}
	if !s.x.snap.Sticky(s.x.backend) {
		return b.Reach(ctx, s.x.backend, c.try)
	}
	s.sticky, s.slot = true, c.server.slots.read(s.x.backend, named(c.request.Fields, "cookie"))
	return b.ReachLike(ctx, s.x.backend, backend.Preference{Slot: s.slot}, c.try)
}

// headBy returns by when the header of an answer must have come; zero: there is no limit.
func (s *course) headBy() time.Time {
	if s.chain == nil || s.chain.Timeouts.Header <= 0 {
		return s.until
	}
	return earlier(time.Now().Add(s.chain.Timeouts.Header), s.until)
}

// pace sets by when the replica must have sent the next part of its answer.
func (s *course) pace() {
	if s.chain == nil || s.chain.Timeouts == (rhumb.Timeouts{}) {
		return
	}
	until := s.until
	if idle := s.chain.Timeouts.Idle; idle > 0 {
		until = earlier(time.Now().Add(idle), until)
	}
	_ = s.x.link.SetReadDeadline(until) // if it fails, so does the read
}

// unlimit lets the link be as slow as it likes, for another request or another protocol.
func (s *course) unlimit() {
	if s.chain != nil && s.chain.Timeouts != (rhumb.Timeouts{}) {
		_ = s.x.link.SetReadDeadline(time.Time{}) // if it fails, so does the next read
	}
}

// earlier returns the earlier time. The zero time is never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

// shapeAnswer decides how the replica's answer changes. length is that of its body.
func (s *course) shapeAnswer(length int64) {
	x, r, a := s.x, &s.x.c.request, &s.x.c.response
	if s.chain != nil {
		s.shape = s.chain.Shape(&chain.Head{Method: r.Method, Accepts: named(r.Fields, "accept-encoding"),
			Ranged: named(r.Fields, "range") != "", Status: a.Status, Length: length,
			Type: named(a.Fields, "content-type"), Encoding: named(a.Fields, "content-encoding"),
			CacheControl: named(a.Fields, "cache-control"), Vary: named(a.Fields, "vary")})
		if s.shape.Coding != "" {
			if r.Minor > 0 {
				s.enc = x.c.server.encoders.Lend(s.shape.Coding)
			}
			if s.enc == nil {
				s.shape.Same()
			}
		}
		if n := s.chain.Buffers(length, named(a.Fields, "content-type")); n > 0 && s.take(n) {
			s.hold = int(n)
		}
	}
	if s.sticky {
		if slot := x.member.Spec.Slot; slot > 0 && slot != s.slot {
			cookie := x.c.server.slots.write(x.backend, slot, x.c.conn.Encrypted())
			s.shape.Added = append(s.shape.Added[:len(s.shape.Added):len(s.shape.Added)],
				rhumb.HeaderField{Name: "Set-Cookie", Value: cookie})
		}
	}
}

// appendShaped appends what the course adds to the header of an answer.
func (s *course) appendShaped(b []byte) []byte {
	for i := range s.shape.Added {
		b = appendField(b, s.shape.Added[i].Name, s.shape.Added[i].Value)
	}
	if s.enc != nil {
		b = appendField(b, "Content-Encoding", string(s.shape.Coding))
	}
	return b
}

// replace sends a page in place of the replica's answer, with the fields of that answer that don't describe its body.
// It reports whether there is such a page.
func (s *course) replace() bool {
	x, a := s.x, &s.x.c.response
	kind, body := s.chain.Replacement(a.Status)
	if body == nil {
		return false
	}
	s.shapeAnswer(0)
	x.drop()
	fields := a.Fields[:0]
	for _, f := range a.Fields {
		if passes(&f, a) && !chain.OfBody(f.Name) {
			fields = append(fields, f)
		}
	}
	a.Fields = append(fields, http1.Field{Name: "Content-Type", Value: kind})
	a.Length = int64(len(body))
	c := x.c
	x.status = a.Status
	c.out = x.appendAnswer(c.out[:0], a.Length)
	if c.request.Method != http.MethodHead {
		c.out = append(c.out, body...)
		x.sent = a.Length
	}
	if _, err := c.conn.Write(c.out); err != nil {
		x.noteError(leftWithin)
		x.last = true
	}
	return true
}

// named returns the values of the fields of a name, which is in lower case. Several are joined as HTTP joins them.
func named(fields []http1.Field, lower string) (value string) {
	found := false
	for i := range fields {
		if f := &fields[i]; len(f.Name) == len(lower) && strings.EqualFold(f.Name, lower) {
			if found {
				sep := ", "
				if lower == "cookie" {
					sep = "; "
				}
				value += sep + f.Value
				continue
			}
			value, found = f.Value, true
		}
	}
	return value
}
