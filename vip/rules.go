package vip

import (
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

// rules is what a namespace does with new connections. Each service address is in either spread or refused.
type rules struct {
	spread  []spread
	gaps    []gap
	refused []netip.Addr // rejected at once, except as gaps says
	legs    []leg
}

// leg has connections that leave by a link come from this address.
type leg struct {
	link string
	addr netip.Addr
}

// spread routes new connections to an address to these in turn.
type spread struct {
	addr netip.Addr
	to   []netip.Addr
}

// gap has new connections to a refused address wait: their first packets are dropped until then.
type gap struct {
	addr  netip.Addr
	until time.Time
}

// rulesOf decides what to do with new connections to the addresses of a segment's services.
func rulesOf(seg rhumb.Segment) rules {
	var r rules
	for _, l := range seg.Legs {
		r.legs = append(r.legs, leg{link: legName(l.ID), addr: l.Addr})
	}
	for _, s := range seg.Services {
		to := active(s)
		switch {
		case len(to) > 0:
			r.spread = append(r.spread, spread{addr: s.Addr, to: to})
			continue
		case !s.Gap.IsZero():
			r.gaps = append(r.gaps, gap{addr: s.Addr, until: s.Gap})
		}
		r.refused = append(r.refused, s.Addr)
	}
	return r
}

// active returns the addresses that get new connections, each once.
func active(s rhumb.ServiceAddress) []netip.Addr {
	var to []netip.Addr
	for _, e := range s.Endpoints {
		if a := e.Addr.Addr(); !e.Draining && !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	return to
}

// equal reports whether both do the same.
func (r rules) equal(o rules) bool {
	return slices.Equal(r.refused, o.refused) && slices.Equal(r.legs, o.legs) &&
		slices.EqualFunc(r.gaps, o.gaps, func(a, b gap) bool { return a.addr == b.addr && a.until.Equal(b.until) }) &&
		slices.EqualFunc(r.spread, o.spread, func(a, b spread) bool {
			return a.addr == b.addr &&
				slices.Equal(a.to, b.to)
		})
}
