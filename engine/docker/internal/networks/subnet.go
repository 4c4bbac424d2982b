package networks

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/moby/moby/api/types/network"

	"rhumb"
)

const (
	widestRoom   = 27 // bits: a smaller subnet belongs to the replicas alone
	smallestPart = 29 // bits: a smaller part isn't used
)

// lowerHalf returns the first half of a subnet.
func lowerHalf(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(p.Masked().Addr(), p.Bits()+1)
}

// freePart returns the largest part of a subnet outside the engine's own range that contains no taken address; of
// several the last. Without a range the engine hands out all addresses, and there is no such part.
func freePart(subnet, ipRange netip.Prefix, taken []netip.Addr) netip.Prefix {
	if !ipRange.IsValid() || !subnet.IsValid() {
		return netip.Prefix{}
	}
	return partOf(subnet.Masked(), ipRange.Masked(), taken)
}

func partOf(p, ipRange netip.Prefix, taken []netip.Addr) netip.Prefix {
	free := !p.Overlaps(ipRange)
	switch {
	case p.Bits() > smallestPart, !free && ipRange.Bits() <= p.Bits():
		return netip.Prefix{}
	case free && !slices.ContainsFunc(taken, p.Contains):
		return p
	}
	low := lowerHalf(p)
	high := netip.PrefixFrom(lastAddr(low).Next(), low.Bits())
	a, b := partOf(low, ipRange, taken), partOf(high, ipRange, taken)
	if !b.IsValid() || a.IsValid() && a.Bits() < b.Bits() {
		return a
	}
	return b
}

// lastAddr returns the last address of an IPv4 prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := range b {
		if bits := p.Bits() - 8*i; bits <= 0 {
			b[i] = 0xff
		} else if bits < 8 {
			b[i] |= 0xff >> bits
		}
	}
	return netip.AddrFrom4(b)
}

// takenIn returns the addresses of a pool that aren't for replicas.
func takenIn(c network.IPAMConfig) []netip.Addr {
	return append(slices.Collect(maps.Values(c.AuxAddress)), gatewayOf(c))
}

// gatewayOf returns a pool's gateway. Where none is written, the engine takes the first address of its range.
func gatewayOf(c network.IPAMConfig) netip.Addr {
	if c.Gateway.IsValid() || !c.Subnet.IsValid() {
		return c.Gateway
	}
	aux := slices.Collect(maps.Values(c.AuxAddress))
	a := c.Subnet.Masked().Addr().Next()
	if c.IPRange.IsValid() && c.IPRange.Masked().Addr() != c.Subnet.Masked().Addr() {
		a = c.IPRange.Masked().Addr()
	}
	for slices.Contains(aux, a) {
		a = a.Next()
	}
	return a
}

// withRoom returns the pool with its lower half for replicas; false if that leaves no room for services' addresses.
func withRoom(c network.IPAMConfig) (network.IPAMConfig, bool) {
	if c.IPRange.IsValid() || !c.Subnet.IsValid() || !c.Subnet.Addr().Is4() || c.Subnet.Bits() > widestRoom {
		return c, false
	}
	c.Gateway, c.IPRange = gatewayOf(c), lowerHalf(c.Subnet)
	return c, freePart(c.Subnet, c.IPRange, takenIn(c)).IsValid()
}

// Bridge converts the engine's description of a network; false if it isn't a bridge with an IPv4 subnet.
func Bridge(n *network.Network) (rhumb.Bridge, bool) {
	i := slices.IndexFunc(n.IPAM.Config, func(c network.IPAMConfig) bool { return c.Subnet.Addr().Is4() })
	if n.Driver != "bridge" || n.Scope != "local" || i < 0 || len(n.ID) < 12 {
		return rhumb.Bridge{}, false
	}
	c := n.IPAM.Config[i]
	b := rhumb.Bridge{Network: n.Name, ID: n.ID, Interface: n.Options["com.docker.network.bridge.name"],
		Subnet: c.Subnet.Masked(), Gateway: gatewayOf(c)}
	if b.Interface == "" {
		b.Interface = "br-" + n.ID[:12]
	}
	if n.IPAM.Driver == "" || n.IPAM.Driver == "default" {
		b.Addresses = freePart(c.Subnet, c.IPRange, takenIn(c))
	}
	return b, true
}

// roomIn returns the pool in which room for services can be left: the only IPv4 pool, or one that the engine chooses. A
// negative index means none.
func roomIn(n rhumb.Network, ipam *network.IPAM) (pool int, chosen bool) {
	if n.Driver != "" && n.Driver != "bridge" || n.IPAM.Driver != "" && n.IPAM.Driver != "default" ||
		len(n.IPAM.Options) > 0 {
		return -1, false
	}
	if ipam == nil {
		return -1, true
	}
	isIPv4 := func(c network.IPAMConfig) bool { return c.Subnet.Addr().Is4() }
	for _, c := range ipam.Config {
		if !c.Subnet.IsValid() {
			return -1, false // the engine chooses the subnet
		}
	}
	i := slices.IndexFunc(ipam.Config, isIPv4)
	if i >= 0 && slices.ContainsFunc(ipam.Config[i+1:], isIPv4) {
		return -1, false
	}
	return i, i < 0
}
