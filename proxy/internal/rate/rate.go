// Package rate keeps clients within the limits of a table's backends: how many requests or connections they may send in
// a time, how many at a time, and how large.
package rate

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/proxy/internal/limits"
	"rhumb/proxy/internal/table"
)

// Wide is how many times the limit of an IPv6 network of 64 bits the network of 48 bits around it may have. Providers
// assign either to a customer; a customer with 65,536 networks must not have as many limits.
const Wide = 8

// limit is one limit of a backend. It outlives the tables in which it stays the same.
type limit struct {
	spec   rhumb.Limit
	policy string // in RateLimit-Policy, for the rate
	places string // in RateLimit-Policy, for the connections
	name   string // of both
	paths  []string
	header string

	pace, wide Pace
	table      *Table // nil: no rate
	open       *Open  // nil: any number of connections
}

// newLimit returns the limit number n of a backend, from 0.
func newLimit(spec rhumb.Limit, n int, b *limits.Budget) *limit {
	l := &limit{}
	if spec.Rate != (rhumb.Rate{}) {
		l.table = NewTable(b)
	}
	if spec.Connections > 0 {
		l.open = &Open{}
	}
	l.become(spec, n)
	return l
}

// with returns the limit with a spec that counts the same, at another place in the list.
func (l *limit) with(spec rhumb.Limit, n int) *limit {
	c := *l
	c.become(spec, n)
	return &c
}

func (l *limit) become(spec rhumb.Limit, n int) {
	l.spec, l.header = spec, spec.Header()
	kind, _, _ := strings.Cut(string(spec.By), ":")
	if kind == "" {
		kind = string(rhumb.ByClient)
	}
	l.name = strconv.Quote(kind)
	if n > 0 {
		l.name = strconv.Quote(kind + "-" + strconv.Itoa(n+1))
	}
	l.paths = nil
	for _, p := range spec.Paths {
		l.paths = append(l.paths, strings.TrimRight(p, "/"))
	}
	if l.open != nil {
		l.places = l.name + ";q=" + strconv.Itoa(spec.Connections) + `;qu="concurrent-requests"`
	}
	if l.table == nil {
		return
	}
	l.pace = PaceOf(spec.Rate, spec.Burst)
	l.wide = Pace{Each: l.pace.Each / Wide, Burst: l.pace.Burst + l.pace.Each*(Wide-1)/Wide}
	l.policy = l.name + ";q=" + strconv.Itoa(spec.Burst+1) + ";w=" + strconv.Itoa(seconds(l.pace.Burst+l.pace.Each))
}

// PaceOf returns the pace of a rate with a burst.
func PaceOf(r rhumb.Rate, burst int) Pace {
	each := r.Per / time.Duration(r.Count)
	return Pace{Each: each, Burst: each * time.Duration(burst)}
}

// seconds returns a time in whole seconds, at least one.
func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// counts returns the part of a spec that says what is counted. Limits that have it in common go on with each other's
// buckets.
func counts(spec rhumb.Limit) rhumb.Limit {
	spec.Status, spec.Observe, spec.Body = 0, false, 0
	return spec
}

// byClient reports whether the limit counts by the client of what has this value of its header.
func (l *limit) byClient(value string) bool { return l.spec.By != rhumb.ByRoute && value == "" }

// fits reports whether the limit is for a request. path is as table.Plain returns it.
func (l *limit) fits(q *Request, path string) bool {
	if q.Asked == nil { // a connection
		return l.spec.Route == "" && len(l.paths) == 0 && l.header == ""
	}
	if l.spec.Route != "" && l.spec.Route != q.Asked.Route() {
		return false
	}
	return len(l.paths) == 0 || slices.ContainsFunc(l.paths, func(p string) bool { return under(p, path) })
}

// under reports whether a path is p or beneath it, or begins with what stands before a last star in p.
func under(p, path string) bool {
	if stem, ok := strings.CutSuffix(p, "*"); ok {
		return strings.HasPrefix(path, stem)
	}
	return table.UnderPrefix(p, path)
}

// keys are what a limit counts a request for; 0: nothing more.
type keys struct{ own, wide uint64 }

var seed = maphash.MakeSeed()

// keysOf returns the keys of a request with this value of the limit's header.
func (l *limit) keysOf(client netip.Addr, value string) keys {
	switch {
	case l.spec.By == rhumb.ByRoute:
		return keys{own: 1}
	case value != "":
		return keys{own: nonzero(maphash.String(seed, value))}
	}
	client = client.Unmap()
	if !client.Is6() {
		b := client.As16()
		return keys{own: nonzero(maphash.Bytes(seed, b[:]))}
	}
	b := client.As16()
	return keys{nonzero(maphash.Bytes(seed, b[:8])), nonzero(maphash.Bytes(seed, b[:6]))}
}

func nonzero(key uint64) uint64 { return max(key, 1) }

// wait returns how long it takes until the rate allows one more; 0: it does.
func (l *limit) wait(k keys, now time.Duration) time.Duration {
	if l.table == nil {
		return 0
	}
	w := l.table.Wait(k.own, now, l.pace)
	if k.wide != 0 && w == 0 {
		w = l.table.Wait(k.wide, now, l.wide)
	}
	return w
}

// put counts one more for the rate.
func (l *limit) put(k keys, now time.Duration) {
	if l.table == nil {
		return
	}
	l.table.Put(k.own, now, l.pace)
	if k.wide != 0 {
		l.table.Put(k.wide, now, l.wide)
	}
}

// enter counts one more under way, and reports whether there was a place.
func (l *limit) enter(k keys) bool {
	if l.open == nil {
		return true
	}
	if !l.open.Enter(k.own, l.spec.Connections) {
		return false
	}
	if k.wide != 0 && !l.open.Enter(k.wide, l.spec.Connections*Wide) {
		l.open.Leave(k.own)
		return false
	}
	return true
}

// leave takes back what enter has counted.
func (l *limit) leave(k keys) {
	l.open.Leave(k.own)
	if k.wide != 0 {
		l.open.Leave(k.wide)
	}
}
