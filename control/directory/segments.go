package directory

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

// Proposal is the segments that a stack must have, and what a book must keep for them.
type Proposal struct {
	Segments []rhumb.Segment // sorted by network

	fresh map[string]page // by network: the pages that aren't kept yet
}

// Kept reports whether the book keeps all addresses of the proposal already.
func (p Proposal) Kept() bool { return len(p.fresh) == 0 }

// View is what decides which segments a stack must have.
type View struct {
	Bridges          []rhumb.Bridge
	Wanted, Previous *rhumb.Stack      // nil: none
	Specs            map[string]string // of Wanted's services, by name; replicas of other specs leave
	Replicas         []rhumb.Replica
}

// Propose returns the segments that a stack must have: in each bridge with room for them, an address for each service
// of the wanted release, and for each service of the previous one that still has replicas. A network that such a
// service leaves has legs into the networks to which it moves, until the last caller has moved too. Propose writes
// nothing. The same pages and the same view have the same proposal.
func (b *Book) Propose(ctx context.Context, v View) (Proposal, error) {
	var prop Proposal
	pages := map[string]page{} // by network: those of segments
	for _, n := range v.Bridges {
		names := members(n.Network, v.Wanted, v.Previous, v.Replicas)
		if !n.Addresses.IsValid() || len(names) == 0 {
			continue
		}
		old, err := b.page(ctx, n.Network)
		if err != nil {
			return Proposal{}, err
		}
		used := taken(n, []*rhumb.Stack{v.Wanted, v.Previous}, v.Replicas)
		now, ok := old.with(n, slices.Concat(names, v.callers(n.Network)), used)
		if !ok {
			if now, ok = old.with(n, names, used); !ok {
				continue
			}
		}
		if !now.equal(old) {
			if prop.fresh == nil {
				prop.fresh = map[string]page{}
			}
			prop.fresh[n.Network] = now
		}
		pages[n.Network] = now
		seg := rhumb.Segment{Network: n.Network, ID: n.ID, Stack: b.stack, Bridge: n.Interface, Subnet: n.Subnet}
		for _, name := range names {
			seg.Services = append(seg.Services, rhumb.ServiceAddress{Service: name, Addr: now.Services[name]})
		}
		prop.Segments = append(prop.Segments, seg)
	}
	for i := range prop.Segments {
		prop.Segments[i].Legs = v.legs(prop.Segments[i].Network, pages)
	}
	slices.SortFunc(prop.Segments, func(a, b rhumb.Segment) int { return strings.Compare(a.Network, b.Network) })
	return prop, nil
}

// members returns the services that need an address in the network, sorted.
func members(network string, wanted, previous *rhumb.Stack, replicas []rhumb.Replica) []string {
	var names []string
	add := func(m *rhumb.Stack, also func(name string) bool) {
		if m == nil {
			return
		}
		for i := range m.Services {
			s := &m.Services[i]
			if _, ok := attachment(s, network); ok && also(s.Name) && !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	add(wanted, func(string) bool { return true })
	add(previous, func(name string) bool {
		return slices.ContainsFunc(replicas, func(r rhumb.Replica) bool {
			return r.Service == name && r.Slot > 0 && r.Alive()
		})
	})
	slices.Sort(names)
	return names
}

// taken returns the addresses of the network that replicas have, or that models give them.
func taken(n rhumb.Bridge, models []*rhumb.Stack, replicas []rhumb.Replica) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for _, m := range models {
		if m == nil {
			continue
		}
		for _, s := range m.Services {
			for _, a := range s.Container.Networks {
				if fixed, err := netip.ParseAddr(a.IPv4); err == nil && a.Network == n.Network {
					taken[fixed] = true
				}
			}
		}
	}
	for _, r := range replicas {
		if a := r.Addrs[n.Network]; a.IsValid() {
			taken[a] = true
		}
	}
	return taken
}
