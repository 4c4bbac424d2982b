package transparent

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// picture is what the last look has seen. It is immutable.
type picture struct {
	broken4, broken6 string // why nothing can be done on this machine; "": it can
	bridges          []bridge
	trials           map[netip.Addr]trial // by endpoint
}

// bridge is a bridge of this machine.
type bridge struct {
	name  string
	nets  []netip.Prefix
	inner bool // it connects containers of this machine, and nothing else
}

// unprepared is the picture before the first look.
var unprepared = &picture{broken4: notYet, broken6: notYet}

// Reasons that more than one place gives.
const (
	notYet     = "this machine isn't prepared for it yet"
	unreached  = "the replica's network isn't up yet"
	unanswered = "its answers to clients don't come back through this machine"
)

// why returns why the replica at the endpoint can't see this client's address.
func (p *picture) why(client, endpoint netip.Addr) string {
	switch {
	case client.IsLoopback():
		return "the client calls from this machine's loopback address"
	case !client.IsGlobalUnicast():
		return "the client's address means nothing in another network"
	case client.Is4() != endpoint.Is4():
		return "the client calls over IPv6, and the replica has an address of IPv4 only"
	}
	if why := p.whyNone(endpoint); why != "" {
		return why
	}
	switch from := p.bridgeOf(client); {
	case from == nil:
		return ""
	case from == p.bridgeOf(endpoint):
		return "the client is in the replica's own network, which it answers directly"
	case from.inner:
		return "the client is a container of this machine"
	}
	return ""
}

// whyNone returns why the replica at the endpoint can't see any client's address.
func (p *picture) whyNone(endpoint netip.Addr) string {
	broken := p.broken6
	if endpoint.Is4() {
		broken = p.broken4
	}
	switch {
	case endpoint.IsLoopback():
		return "the replica uses this machine's own network"
	case broken != "":
		return broken
	case p.bridgeOf(endpoint) == nil:
		return "the replica isn't on a bridge of this machine"
	}
	t, ok := p.trials[endpoint]
	if !ok {
		return notYet
	}
	return t.why
}

// bridgeOf returns the bridge on whose network an address is, or nil.
func (p *picture) bridgeOf(a netip.Addr) *bridge {
	for i := range p.bridges {
		for _, n := range p.bridges[i].nets {
			if n.Contains(a) {
				return &p.bridges[i]
			}
		}
	}
	return nil
}

// lookBridges returns the machine's bridges. A bridge with a port that isn't a container's leads elsewhere, such as one
// that has the machine's own network card: its neighbours are clients like all others.
func lookBridges() ([]bridge, error) {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("the machine's links can't be listed: %w", err)
	}
	outer := map[int]bool{} // bridges that lead elsewhere, by index
	for _, l := range links {
		if l.Type() != "veth" {
			outer[l.Attrs().MasterIndex] = true
		}
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("the machine's addresses can't be listed: %w", err)
	}
	nets := map[int][]netip.Prefix{}
	for _, a := range addrs {
		if n, ok := prefixOf(a); ok {
			nets[a.LinkIndex] = append(nets[a.LinkIndex], n)
		}
	}
	var bridges []bridge
	for _, l := range links {
		if at := l.Attrs(); l.Type() == "bridge" {
			bridges = append(bridges, bridge{name: at.Name, nets: nets[at.Index], inner: !outer[at.Index]})
		}
	}
	return bridges, nil
}

// prefixOf returns the network of an address of this machine.
func prefixOf(a netlink.Addr) (netip.Prefix, bool) {
	if a.IPNet == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(a.IP)
	ones, _ := a.Mask.Size()
	n, err := addr.Unmap().Prefix(ones)
	return n, ok && err == nil && !addr.IsLinkLocalUnicast()
}
