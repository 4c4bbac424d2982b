package routing

import (
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

// RebuildSegments rebuilds a stack's segments. A replica that is an endpoint anywhere in the table becomes one in
// each of its networks, in the same state. Replicas that are gone leave the table. A service that is new in its
// segment has a gap until the time in arriving.
func RebuildSegments(
	t *rhumb.Table, stack string, want []rhumb.Segment, replicas []rhumb.Replica, arriving map[string]time.Time,
) {
	dropGone(t, stack, replicas)
	routed := map[string]rhumb.Endpoint{} // by replica ID
	eachEndpointOf(t, stack, func(e *rhumb.Endpoint) {
		if was, ok := routed[e.Replica]; !ok || was.Draining {
			routed[e.Replica] = *e
		}
	})
	old := map[[2]string]rhumb.ServiceAddress{}
	for _, s := range t.Segments {
		for _, a := range s.Services {
			if s.Stack == stack {
				old[[2]string{s.Network, a.Service}] = a
			}
		}
	}
	t.Segments = slices.DeleteFunc(t.Segments, func(s rhumb.Segment) bool { return s.Stack == stack })
	for _, s := range want {
		s.Services = slices.Clone(s.Services)
		for i := range s.Services {
			a := &s.Services[i]
			was, known := old[[2]string{s.Network, a.Service}]
			if a.Gap = was.Gap; !known {
				a.Gap = arriving[a.Service]
			}
			a.Endpoints = nil
			for _, r := range replicas {
				if e, ok := routed[r.ID]; ok && r.Service == a.Service {
					joinSegment(s, a, e, r)
				}
			}
		}
		t.Segments = append(t.Segments, s)
	}
}

// joinSegment makes a replica an endpoint of a service address. It reports whether the replica has an address in the
// network, or in one into which the segment has a leg.
func joinSegment(s rhumb.Segment, a *rhumb.ServiceAddress, e rhumb.Endpoint, r rhumb.Replica) bool {
	at, ok := reached(s, r)
	if !ok {
		return false
	}
	e.Addr = netip.AddrPortFrom(at, 0)
	a.Endpoints = append(a.Endpoints, e)
	if !e.Draining {
		a.Gap = time.Time{}
	}
	return true
}

// reached returns the address at which a segment reaches a replica.
func reached(s rhumb.Segment, r rhumb.Replica) (at netip.Addr, ok bool) {
	if at = r.Addrs[s.Network]; s.Subnet.Contains(at) {
		return at, true
	}
	for _, l := range s.Legs {
		if at = r.Addrs[l.Network]; l.Subnet.Contains(at) {
			return at, true
		}
	}
	return netip.Addr{}, false
}

// dropGone removes the endpoints of a stack's replicas that are gone.
func dropGone(t *rhumb.Table, stack string, replicas []rhumb.Replica) {
	here := map[string]bool{}
	for _, r := range replicas {
		here[r.ID] = true
	}
	gone := func(e rhumb.Endpoint) bool { return !here[e.Replica] }
	for i := range t.Backends {
		if b := &t.Backends[i]; b.Stack == stack {
			b.Endpoints = slices.DeleteFunc(b.Endpoints, gone)
		}
	}
}

// RouteInside makes a replica an active endpoint of its service's addresses. It reports whether there are any.
func RouteInside(t *rhumb.Table, stack string, r rhumb.Replica) (routed bool) {
	for i := range t.Segments {
		s := &t.Segments[i]
		for j := range s.Services {
			a := &s.Services[j]
			if s.Stack != stack || a.Service != r.Service {
				continue
			}
			a.Endpoints = slices.DeleteFunc(a.Endpoints, func(e rhumb.Endpoint) bool { return e.Replica == r.ID })
			if joinSegment(*s, a, rhumb.Endpoint{Replica: r.ID, Name: r.Name(), Release: r.Release}, r) {
				routed = true
			}
		}
	}
	return routed
}

// Expect has connections to those addresses of a service that have no active replica wait until a time.
func Expect(t *rhumb.Table, stack, service string, until time.Time) {
	for i := range t.Segments {
		for j := range t.Segments[i].Services {
			a := &t.Segments[i].Services[j]
			active := slices.ContainsFunc(a.Endpoints, func(e rhumb.Endpoint) bool { return !e.Draining })
			if t.Segments[i].Stack == stack && a.Service == service && !active && until.After(a.Gap) {
				a.Gap = until
			}
		}
	}
}

// DropSegment removes a network's segment from the table, and what leads into the network, before the network itself
// is removed.
func DropSegment(t *rhumb.Table, stack, network string) {
	t.Segments = slices.DeleteFunc(t.Segments, func(s rhumb.Segment) bool {
		return s.Stack == stack && s.Network == network
	})
	for i := range t.Segments {
		if s := &t.Segments[i]; s.Stack == stack {
			s.Legs = slices.DeleteFunc(s.Legs, func(l rhumb.Leg) bool { return l.Network == network })
			dropUnreached(s)
		}
	}
}

// dropUnreached removes the endpoints that are in none of the segment's networks.
func dropUnreached(s *rhumb.Segment) {
	for i := range s.Services {
		a := &s.Services[i]
		a.Endpoints = slices.DeleteFunc(a.Endpoints, func(e rhumb.Endpoint) bool { return !s.Reaches(e.Addr.Addr()) })
	}
}
