package scene

import (
	"net/netip"
	"slices"

	"rhumb"
	"rhumb/rollout"
)

// Address returns the address at which the proxy and the probes reach a replica. A replica without one is Unavailable.
func (s *Scene) Address(rep rhumb.Replica) (netip.Addr, error) {
	if joined, ok := s.Replica(rep.Joined); ok && rep.Joined != "" {
		return s.Address(joined)
	}
	svc, _ := s.Definition(rep)
	if svc != nil && svc.Container.NetworkMode == "host" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	var best netip.Addr
	for name, a := range rep.Addrs {
		if !a.IsValid() || svc != nil && !names(&svc.Container, name) {
			continue
		}
		outer := !internal(&s.Wanted, name)
		if !best.IsValid() || outer && a.Less(best) || outer && inInternal(&s.Wanted, rep, best) {
			best = a
		}
	}
	if !best.IsValid() {
		return best, rhumb.Errorf(rhumb.Unavailable, "%s has no address", rep.Name())
	}
	return best, nil
}

// EndpointOf returns a replica as the proxy sees it, but for a port. A replica without an address is Unavailable.
func EndpointOf(s *Scene, rep rhumb.Replica) (rhumb.Endpoint, error) {
	e := rhumb.Endpoint{Replica: rep.ID, Name: rep.Name(), Release: rep.Release}
	at, err := s.Address(rep)
	if err != nil {
		return e, err
	}
	e.Addr = netip.AddrPortFrom(at, 0)
	home := rep
	if joined, ok := s.Replica(rep.Joined); ok && rep.Joined != "" {
		home = joined
	}
	for name, a := range home.Addrs {
		if a == at {
			e.Addr6 = home.Addrs6[name]
		}
	}
	model := s.Wanted.Previous
	svc, wanted := s.Definition(rep)
	if wanted {
		model = s.Wanted.Model
	}
	if svc != nil {
		e.Unseen = model.Unseen(svc)
	}
	return e, nil
}

// names reports whether a container's definition names a network. A replica may be in others for a while; a definition
// that names none accepts all.
func names(c *rhumb.Container, network string) bool {
	in := func(a rhumb.Attachment) bool { return a.Network == network }
	return len(c.Networks) == 0 || slices.ContainsFunc(c.Networks, in)
}

// internal reports whether a network has no way out.
func internal(w *rollout.Wanted, network string) bool {
	for _, m := range []*rhumb.Stack{w.Model, w.Previous} {
		if m == nil {
			continue
		}
		for _, n := range m.Networks {
			if n.Name == network {
				return n.Internal
			}
		}
	}
	return false
}

// inInternal reports whether an address of a replica is in an internal network.
func inInternal(w *rollout.Wanted, rep rhumb.Replica, a netip.Addr) bool {
	for name, x := range rep.Addrs {
		if x == a {
			return internal(w, name)
		}
	}
	return false
}

// Peers returns where replicas of the same service and another spec answer that serve now. port is used for those whose
// own check names none.
func (s *Scene) Peers(rep rhumb.Replica, port uint16) []netip.AddrPort {
	var peers []netip.AddrPort
	for _, other := range s.Observed.Replicas {
		route, routed := s.Observed.Routes[other.ID]
		if other.Service != rep.Service || other.Spec == rep.Spec || !other.Alive() || !routed || route.Draining {
			continue
		}
		if svc, _ := s.Definition(other); svc != nil && svc.Ready.Kind == rhumb.ReadyAnswer {
			port = svc.Ready.Port
		}
		if addr, err := s.Address(other); err == nil {
			peers = append(peers, netip.AddrPortFrom(addr, port))
		}
	}
	return peers
}
