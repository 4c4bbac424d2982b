package routing

import (
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

// Relead rebuilds a stack's segments: what leads to a replica elsewhere in the table leads to it in all its networks.
func Relead(t *rhumb.Table, stack string, want []rhumb.Segment, replicas []rhumb.Replica, arriving map[string]time.Time) {
	dropGone(t, stack, replicas)
	led := map[string]rhumb.Endpoint{} // by replica ID
	eachEndpointOf(t, stack, func(e *rhumb.Endpoint) {
		if was, ok := led[e.Replica]; !ok || was.Draining {
			led[e.Replica] = *e
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
				if e, ok := led[r.ID]; ok && r.Service == a.Service {
					joinSegment(s, a, e, r)
				}
			}
		}
		t.Segments = append(t.Segments, s)
	}
}

// joinSegment leads a service address to a replica, if that has an address in the network.
func joinSegment(s rhumb.Segment, a *rhumb.ServiceAddress, e rhumb.Endpoint, r rhumb.Replica) bool {
	at := r.Addrs[s.Network]
	if !at.IsValid() || !s.Subnet.Contains(at) {
		return false
	}
	e.Addr = netip.AddrPortFrom(at, 0)
	a.Endpoints = append(a.Endpoints, e)
	if !e.Draining {
		a.Gap = time.Time{}
	}
	return true
}

// dropGone takes out the endpoints of a stack's replicas that aren't there any more.
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

// RouteInside leads the addresses of a replica's service to it, and tells whether there are any.
func RouteInside(t *rhumb.Table, stack string, r rhumb.Replica) (led bool) {
	for i := range t.Segments {
		s := &t.Segments[i]
		for j := range s.Services {
			a := &s.Services[j]
			if s.Stack != stack || a.Service != r.Service {
				continue
			}
			a.Endpoints = slices.DeleteFunc(a.Endpoints, func(e rhumb.Endpoint) bool { return e.Replica == r.ID })
			if joinSegment(*s, a, rhumb.Endpoint{Replica: r.ID, Name: r.Name(), Release: r.Release}, r) {
				led = true
			}
		}
	}
	return led
}

// Expect has connections to a service wait until a time, where nobody is there to take them.
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

// DropSegment takes a network's segment out of the table, before the network goes.
func DropSegment(t *rhumb.Table, stack, network string) {
	t.Segments = slices.DeleteFunc(t.Segments, func(s rhumb.Segment) bool { return s.Stack == stack && s.Network == network })
}
