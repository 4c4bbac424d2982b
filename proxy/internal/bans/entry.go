package bans

import (
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"rhumb"
)

// entry is a ban in force. Only its place and its count change: a ban that is replaced is another entry.
type entry struct {
	ban     rhumb.Ban
	until   int64 // Unix nanoseconds; the greatest number: until it is removed
	refused atomic.Uint64
	place   int // in ends
}

// view returns the ban with its count.
func (e *entry) view() rhumb.Ban {
	ban := e.ban
	ban.Refused += e.refused.Load()
	return ban
}

func nanos(until time.Time) int64 {
	if until.IsZero() || until.Year() > 2200 {
		return math.MaxInt64
	}
	return until.UnixNano()
}

// ends are the entries as a heap: the first is the one that ends first. It implements heap.Interface.
type ends []*entry

func (h ends) Len() int           { return len(h) }
func (h ends) Less(i, j int) bool { return h[i].until < h[j].until }
func (h ends) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push adds an entry at the end.
func (h *ends) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop removes the last entry.
func (h *ends) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

// Bits of the network that is one client.
const (
	bits4 = 32
	bits6 = 64
)

// clientOf returns what is banned for an address: itself, or its IPv6 network of 64 bits, which its owner can use as
// one likes.
func clientOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, _ := a.Prefix(bits) // an invalid address has an invalid prefix
	return p
}

// ofOne reports whether a prefix is one client, or a part of one.
func ofOne(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() >= bits4 || p.Addr().Is6() && p.Bits() >= bits6
}

// inside reports whether p is a part of range r.
func inside(p, r netip.Prefix) bool { return p.Bits() >= r.Bits() && r.Contains(p.Addr()) }

// remembered is what is known of a client's bans that have ended.
type remembered struct {
	Times int
	Until time.Time // when the last one ended
}

// past is what is remembered, by client. Each further ban of a client lasts longer.
type past map[netip.Prefix]remembered

const (
	pastTime = 7 * 24 * time.Hour // for how long a ban is remembered after its end
	maxPast  = 100_000
	sampled  = 8 // of which the oldest is forgotten when there are too many
)

// add remembers a ban that has ended.
func (p past) add(ban rhumb.Ban) {
	if ban.By != "" {
		return // it says nothing about what a rule would have found
	}
	if len(p) >= maxPast {
		p.forgetOne()
	}
	p[ban.Client] = remembered{Times: ban.Times, Until: ban.Until}
}

// forgetOne forgets the oldest of some.
func (p past) forgetOne() {
	var oldest netip.Prefix
	n := 0
	for client, r := range p {
		if n == 0 || r.Until.Before(p[oldest].Until) {
			oldest = client
		}
		if n++; n == sampled {
			break
		}
	}
	delete(p, oldest)
}

// forget forgets some of what is old. It looks at a part only, so that it takes no time.
func (p past) forget(now time.Time) {
	n := 0
	for client, r := range p {
		if now.Sub(r.Until) > pastTime {
			delete(p, client)
		}
		if n++; n == 1000 {
			return
		}
	}
}
