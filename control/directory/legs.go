package directory

import (
	"slices"

	"rhumb"
)

// A service may move to another network: the network was replaced, or the stack file names another one. Its callers
// move as well, but not at the same moment. Until the last replica has moved, the segments of both networks have a leg
// into each other: callers that haven't moved reach new replicas, and callers that have moved reach old ones.

// legs returns the legs of a network's segment, as far as the pages of the other networks have an address for it.
func (v *View) legs(network string, pages map[string]page) []rhumb.Leg {
	var list []rhumb.Leg
	for _, n := range v.Bridges {
		addr := pages[n.Network].Services[caller(network)]
		if addr.IsValid() && v.linked(network, n.Network) {
			list = append(list, rhumb.Leg{Network: n.Network, ID: n.ID, Bridge: n.Interface, Subnet: n.Subnet, Addr: addr})
		}
	}
	return list
}

// callers returns the names by which a network's page keeps an address for each network that has a leg into it.
func (v *View) callers(network string) []string {
	var names []string
	for _, n := range v.Bridges {
		if v.linked(n.Network, network) {
			names = append(names, caller(n.Network))
		}
	}
	return names
}

// linked reports whether services move from one of two networks to the other, and not all replicas have.
func (v *View) linked(a, b string) bool {
	return v.move(a, b) && v.left(a) || v.move(b, a) && v.left(b)
}

// caller is no name that a service can have.
func caller(network string) string { return "from " + network }

// move reports whether a service of both releases leaves one network and joins the other.
func (v *View) move(from, to string) bool {
	if from == to || v.Wanted == nil || v.Previous == nil {
		return false
	}
	for i := range v.Previous.Services {
		old := &v.Previous.Services[i]
		now := v.Wanted.Service(old.Name)
		_, was := attachment(old, from)
		if !was || now == nil {
			continue
		}
		_, stays := attachment(now, from)
		if _, goes := attachment(now, to); goes && !stays {
			return true
		}
	}
	return false
}

// left reports whether a replica that isn't of the wanted release is in the network.
func (v *View) left(network string) bool {
	return slices.ContainsFunc(v.Replicas, func(r rhumb.Replica) bool {
		return r.Alive() && r.Slot > 0 && r.Addrs[network].IsValid() && r.Spec != v.Specs[r.Service]
	})
}
