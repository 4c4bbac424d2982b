package rate

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/crowd"
	"rhumb/proxy/internal/table"
)

// Set is the limits of one backend.
type Set struct {
	limits  []*limit
	counts  *tally
	crowd   *crowd.Watch
	epoch   time.Time
	byPath  bool // some limits are for paths
	clients bool // some limits count by client
}

// Request is what limits have to know of a request, or of a connection.
type Request struct {
	Client netip.Addr
	Path   string // decoded
	Length int64  // of its body; negative: not known yet
	Asked  Asked  // nil: it is a connection
}

// Asked answers questions about a request of HTTP.
type Asked interface {
	Header(name string) string // the first value of a field; "": there is none
	Route() string             // the address of the route that it came by; "": it came by a port
}

// Pass is what a request has of the limits while it is under way. The zero value has nothing.
type Pass struct {
	held []held
	// Body is the most bytes that the request's body may have; 0: any number. It is for a body of unknown length.
	Body   int64
	status int // of the answer to a body with more; 0: the usual one
}

type held struct {
	limit *limit
	keys  keys
}

// End returns what the request has. It may be called again.
func (p *Pass) End() {
	for _, h := range p.held {
		h.limit.leave(h.keys)
	}
	p.held, p.Body, p.status = p.held[:0], 0, 0
}

// Refusal is why a request exceeds a limit, and what it is answered.
type Refusal struct {
	Status int
	Wait   time.Duration // until it may pass; 0: it never will, as it is
	Policy string        // RateLimit-Policy; "": none
	name   string
}

// State returns the answer's RateLimit.
func (r *Refusal) State() string { return r.name + ";r=0;t=" + strconv.Itoa(seconds(r.Wait)) }

// RetryAfter returns the answer's Retry-After, in seconds; 0: none.
func (r *Refusal) RetryAfter() int {
	if r.Wait == 0 {
		return 0
	}
	return seconds(r.Wait)
}

// Admit reports whether a request may pass. What it has under way from then on, its Pass ends. A refused one has
// nothing, and counts for no rate.
func (s *Set) Admit(p *Pass, now time.Time, q Request) (Refusal, bool) {
	at, where := now.Sub(s.epoch), ""
	if s.byPath && q.Asked != nil {
		where = table.Plain(q.Path)
	}
	shared := s.clients && s.look(now, &q)
	var due [rhumb.MaxLimits]held
	n := 0
	for _, l := range s.limits {
		if !l.fits(&q, where) {
			continue
		}
		value := ""
		if l.header != "" {
			value = q.Asked.Header(l.header)
		}
		h := held{l, l.keysOf(q.Client, value)}
		r, ok := p.exceeds(h, at, q.Length)
		switch {
		case ok:
			due[n] = h
			n++
		case l.spec.Observe, shared && r.Wait > 0 && l.byClient(value): // a body is the same size whoever sends it
			s.counts.observed.Add(1)
		default:
			p.End()
			s.counts.refuse(now)
			return r, false
		}
	}
	for _, h := range due[:n] {
		h.limit.put(h.keys, at)
	}
	return Refusal{}, true
}

// exceeds returns why a request exceeds a limit; ok: it doesn't, and has its place.
func (p *Pass) exceeds(h held, now time.Duration, length int64) (r Refusal, ok bool) {
	l := h.limit
	if most := l.spec.Body; most > 0 {
		if length > most {
			return Refusal{Status: statusOf(l.spec.Status, http.StatusRequestEntityTooLarge)}, false
		}
		if length < 0 && !l.spec.Observe && (p.Body == 0 || most < p.Body) {
			p.Body, p.status = most, l.spec.Status
		}
	}
	if w := l.wait(h.keys, now); w > 0 {
		return Refusal{Status: statusOf(l.spec.Status, many), Wait: w, Policy: l.policy, name: l.name}, false
	}
	if !l.enter(h.keys) {
		return Refusal{Status: statusOf(l.spec.Status, many), Wait: time.Second, Policy: l.places, name: l.name}, false
	}
	if l.open != nil {
		p.held = append(p.held, h)
	}
	return Refusal{}, true
}

const many = http.StatusTooManyRequests

func statusOf(wanted, usual int) int {
	if wanted != 0 {
		return wanted
	}
	return usual
}

// TooLarge returns the refusal of a request whose body turned out to be larger than its Pass allows, and counts it.
func (s *Set) TooLarge(p *Pass, now time.Time) Refusal {
	s.counts.refuse(now)
	return Refusal{Status: statusOf(p.status, http.StatusRequestEntityTooLarge)}
}

// look shows a request to the crowd, and reports whether its address is that of nearly all clients.
func (s *Set) look(now time.Time, q *Request) bool {
	if q.Asked == nil {
		return false // connections all look alike
	}
	s.crowd.See(q.Client, q.Asked.Header("User-Agent"), q.Asked.Header("Accept-Language"), now)
	return s.crowd.Shared(q.Client)
}

// tally counts what the limits of a backend do.
type tally struct {
	refused, observed atomic.Uint64
	since, last       atomic.Int64 // Unix nanoseconds: when they began to refuse, and when they last did
}

// Spell is the time without a refusal after which limits count as refusing no more.
const Spell = time.Minute

func (t *tally) refuse(now time.Time) {
	t.refused.Add(1)
	at, last := now.UnixNano(), t.last.Load()
	if at-last > int64(Spell) {
		t.since.Store(at)
	}
	if at-last > int64(100*time.Millisecond) { // storing it each time would cost more
		t.last.Store(at)
	}
}

// stats returns what the limits have done.
func (s *Set) stats(now time.Time) *rhumb.LimitStats {
	t := s.counts
	st := &rhumb.LimitStats{Observed: t.observed.Load(), Shared: s.crowd.Source()}
	if last := t.last.Load(); last != 0 && now.UnixNano()-last <= int64(Spell) {
		st.Since = time.Unix(0, t.since.Load())
	}
	st.Refused = t.refused.Load()
	return st
}
