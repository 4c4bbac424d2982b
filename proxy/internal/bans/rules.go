package bans

import (
	"encoding/json"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"rhumb"
	"rhumb/internal/banrule"
	"rhumb/proxy/internal/crowd"
)

// Request is what is known of a request that was answered. That of a TCP connection has only the client.
type Request struct {
	Client       netip.Addr
	Method, Path string // the path is decoded
	Status       int    // of the answer

	// What distinguishes clients that come from one address.
	Browser, Language string
}

// ruleset is the rules of a table, compiled. It is immutable.
type ruleset struct {
	backends map[string]*service
	services map[[2]string]*service // by stack and name
}

// service is the rules of a service.
type service struct {
	stack, name string
	crowd       *crowd.Watch // outlives the table
	bans        rhumb.Bans
	requests    []rule
	logs        []rule
}

// rule is one rule, of which the counters outlive the table.
type rule struct {
	rhumb.BanRule
	id uint64
}

// compile returns the rules of a table that follows another one; nil: there are none.
func compile(t rhumb.Table, before *ruleset) *ruleset {
	rs := &ruleset{map[string]*service{}, map[[2]string]*service{}}
	for i := range t.Backends {
		b := &t.Backends[i]
		if len(b.Bans.On) == 0 {
			continue
		}
		at := [2]string{b.Stack, b.Service}
		s := rs.services[at]
		if s == nil {
			s = newService(b)
			if before != nil && before.services[at] != nil {
				s.crowd = before.services[at].crowd
			}
			rs.services[at] = s
		}
		rs.backends[b.Name] = s
	}
	if len(rs.services) == 0 {
		return nil
	}
	return rs
}

// private reports whether rules of any service ban clients in private networks.
func (rs *ruleset) private() bool {
	if rs == nil {
		return false
	}
	for _, s := range rs.services {
		if s.bans.Private {
			return true
		}
	}
	return false
}

func newService(b *rhumb.Backend) *service {
	s := &service{stack: b.Stack, name: b.Service, crowd: &crowd.Watch{}, bans: b.Bans}
	for _, r := range b.Bans.On {
		c := rule{r, identity(b.Stack, b.Service, r)}
		if r.Log != "" {
			s.logs = append(s.logs, c)
		} else {
			s.requests = append(s.requests, c)
		}
	}
	return s
}

// identity returns a number for a rule of a service. A rule that was changed has another one.
func identity(stack, service string, r rhumb.BanRule) uint64 {
	b, _ := json.Marshal(r) // it has only strings and numbers
	h := fnv.New64a()
	for _, part := range [][]byte{[]byte(stack), {0}, []byte(service), {0}, b} {
		_, _ = h.Write(part) // it never fails
	}
	return h.Sum64()
}

// fits reports whether a request matches the rule.
func (r *rule) fits(q *Request) bool {
	if len(r.Status) > 0 && !slices.ContainsFunc(r.Status, func(s rhumb.StatusRange) bool {
		return s.From <= q.Status && q.Status <= s.To
	}) {
		return false
	}
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, q.Method) {
		return false
	}
	return len(r.Paths) == 0 || slices.ContainsFunc(r.Paths, func(p string) bool { return banrule.Fits(p, q.Path) })
}

// Serve makes the rules of a table those that count from now on. Bans and counters stay.
func (b *Book) Serve(t rhumb.Table) { b.rules.Store(compile(t, b.rules.Load())) }

// Counts reports whether requests to a backend are counted.
func (b *Book) Counts(backend string) bool {
	if b == nil {
		return false
	}
	rs := b.rules.Load()
	return rs != nil && rs.backends[backend] != nil
}

// Note counts a request to a backend, and bans its client if that makes too many.
func (b *Book) Note(backend string, q Request) {
	if b == nil {
		return
	}
	rs := b.rules.Load()
	if rs == nil {
		return
	}
	s := rs.backends[backend]
	if s == nil {
		return
	}
	s.crowd.See(q.Client, q.Browser, q.Language, time.Now())
	for i := range s.requests {
		if r := &s.requests[i]; r.fits(&q) {
			b.match(s, r, q.Client, time.Now())
		}
	}
}

// match counts a match, and bans the client if that makes too many.
func (b *Book) match(s *service, r *rule, client netip.Addr, at time.Time) {
	who := clientOf(client)
	if !who.IsValid() {
		return
	}
	key := keyOf(r.id, who)
	if b.counts.add(key, at, r.In) < r.Count {
		return
	}
	b.counts.clear(key)
	if why := b.spared.why(who, s.bans.Private, time.Now()); why != "" {
		b.log.Debug("client not banned", "client", who, "stack", s.stack, "service", s.name, "rule", r.Name, "why", why)
		return
	}
	if s.crowd.Shared(client) {
		b.log.Warn("client not banned, nearly all clients share its address", "client", who, "stack", s.stack,
			"service", s.name, "rule", r.Name)
		return
	}
	now := time.Now()
	length := s.bans.Length(b.inForce.times(who, now))
	ban := rhumb.Ban{Client: who, Reference: newReference(), Reason: reasonOf(r), Stack: s.stack, Service: s.name,
		Rule: r.Name, Since: now, Until: now.Add(length)}
	ban, begun := b.inForce.begin(ban, func(rhumb.Ban) bool { return true })
	if !begun {
		return // it is refused already; this request was under way
	}
	if b.spared.usedFrom(who, now) { // Spare has just come, and may not have seen the ban
		b.inForce.end(who, func(old rhumb.Ban) bool { return old.Reference == ban.Reference })
		return
	}
	b.log.Info("client banned", "client", who, "stack", s.stack, "service", s.name, "rule", r.Name, "for", length,
		"reference", ban.Reference)
	b.news.add(rhumb.BanNote{Ban: ban})
}

func reasonOf(r *rule) string {
	what := "requests"
	if r.Log != "" {
		what = "lines of " + r.Log
	}
	if r.Count == 1 && r.Log != "" {
		return "a line of " + r.Log + " matched " + r.Name
	} else if r.Count == 1 {
		return "a request matched " + r.Name
	}
	return strconv.Itoa(r.Count) + " " + what + " matched " + r.Name + " within " + rhumb.ExactSpan(r.In)
}
