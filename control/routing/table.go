package routing

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

// prune drops backends without listeners, rules and endpoints, and options that aren't used.
func prune(t *rhumb.Table) {
	used := map[string]bool{}
	for _, l := range t.Listeners {
		used[l.Backend] = true
	}
	for _, r := range t.Rules {
		used[r.Backend] = true
	}
	t.Backends = slices.DeleteFunc(t.Backends, func(b rhumb.Backend) bool {
		return !used[b.Name] && len(b.Endpoints) == 0
	})
	pruneOptions(t)
}

// arrange sorts everything in a table, so that equal tables are alike.
func arrange(t *rhumb.Table) {
	slices.SortFunc(t.Listeners, func(a, b rhumb.Listener) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return strings.Compare(string(a.Protocol), string(b.Protocol))
	})
	slices.SortFunc(t.Rules, func(a, b rhumb.Rule) int {
		if c := strings.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	slices.SortFunc(t.Backends, func(a, b rhumb.Backend) int { return strings.Compare(a.Name, b.Name) })
	for _, b := range t.Backends {
		slices.SortFunc(b.Endpoints, byReplica)
	}
	arrangeSegments(t.Segments)
	slices.SortFunc(t.Options, byID)
}

func byReplica(a, b rhumb.Endpoint) int { return strings.Compare(a.Name+a.Replica, b.Name+b.Replica) }

// Changes reports whether an edit would change a table. It does not modify t.
func Changes(t rhumb.Table, edit func(*rhumb.Table)) bool {
	edited := t.Clone()
	edit(&edited)
	arrange(&edited)
	return !sameTable(edited, t)
}

// sameTable reports whether two tables differ at most in their versions.
func sameTable(a, b rhumb.Table) bool {
	a.Version = b.Version
	return a.Equal(b)
}

// owners returns the backends by name.
func owners(t rhumb.Table) map[string]rhumb.Backend {
	m := make(map[string]rhumb.Backend, len(t.Backends))
	for _, b := range t.Backends {
		m[b.Name] = b
	}
	return m
}

// bindAddr returns the address that the proxy binds for a port. Without a host IP that is all addresses, IPv4 and IPv6.
func bindAddr(p rhumb.Port) netip.AddrPort {
	ip := netip.IPv6Unspecified()
	if p.HostIP != "" {
		if a, err := netip.ParseAddr(p.HostIP); err == nil {
			ip = a.Unmap()
		}
	}
	return netip.AddrPortFrom(ip, p.Published)
}

func listenerAddress(l rhumb.Listener) string {
	p := rhumb.Port{Published: l.Addr.Port(), Protocol: l.Protocol}
	if l.Addr.Addr() != netip.IPv6Unspecified() {
		p.HostIP = l.Addr.Addr().String()
	}
	return p.Address()
}

func ruleAddress(r rhumb.Rule) string { return rhumb.Route{Host: r.Host, Path: r.Path}.Address() }

// sameWire reports whether two protocols can't share an address.
func sameWire(a, b rhumb.Protocol) bool { return (a == rhumb.UDP) == (b == rhumb.UDP) }

func arrangeSegments(list []rhumb.Segment) {
	slices.SortFunc(list, func(a, b rhumb.Segment) int {
		return cmp.Or(strings.Compare(a.Network, b.Network), strings.Compare(a.Stack, b.Stack))
	})
	for _, s := range list {
		slices.SortFunc(s.Legs, func(a, b rhumb.Leg) int { return strings.Compare(a.Network, b.Network) })
		slices.SortFunc(s.Services, func(a, b rhumb.ServiceAddress) int {
			return strings.Compare(a.Service, b.Service)
		})
		for _, a := range s.Services {
			slices.SortFunc(a.Endpoints, byReplica)
		}
	}
}

// eachEndpointOf calls do for each of a stack's endpoints, in backends and in segments.
func eachEndpointOf(t *rhumb.Table, stack string, do func(*rhumb.Endpoint)) {
	for i := range t.Backends {
		for j := range t.Backends[i].Endpoints {
			if t.Backends[i].Stack == stack {
				do(&t.Backends[i].Endpoints[j])
			}
		}
	}
	for i := range t.Segments {
		for j := range t.Segments[i].Services {
			for k := range t.Segments[i].Services[j].Endpoints {
				if t.Segments[i].Stack == stack {
					do(&t.Segments[i].Services[j].Endpoints[k])
				}
			}
		}
	}
}
