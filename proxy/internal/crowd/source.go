package crowd

import "net/netip"

// source is an address, or a network with many, that may stand for many clients.
type source struct {
	name   string // "": the address stands for its own client only
	addr   netip.Addr
	within []netip.Prefix // nil: the address alone
}

func (s *source) has(addr netip.Addr) bool {
	if s.within == nil {
		return addr == s.addr
	}
	return holds(s.within, addr)
}

func holds(ps []netip.Prefix, addr netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// sourceOf returns the source of an address.
func sourceOf(addr netip.Addr) source {
	addr = addr.Unmap()
	if addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || carrier.Contains(addr) {
		return source{name: addr.String(), addr: addr}
	}
	for _, n := range networks {
		if holds(n.within, addr) {
			return n
		}
	}
	return source{}
}

// carrier are the addresses that providers assign inside their own networks (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// networks are content networks whose servers call on behalf of many clients. The lists are those that the networks
// publish, of 2026. An address that is missing here is limited like any other client.
var networks = []source{
	network("Cloudflare", "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18",
		"108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15",
		"104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22", "2400:cb00::/32", "2606:4700::/32",
		"2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32"),
	network("Fastly", "23.235.32.0/20", "43.249.72.0/22", "103.244.50.0/24", "103.245.222.0/23", "103.245.224.0/24",
		"104.156.80.0/20", "140.248.64.0/18", "140.248.128.0/17", "146.75.0.0/17", "151.101.0.0/16", "157.52.64.0/18",
		"167.82.0.0/17", "167.82.128.0/20", "167.82.160.0/20", "167.82.224.0/20", "172.111.64.0/18", "185.31.16.0/22",
		"199.27.72.0/21", "199.232.0.0/16", "2a04:4e40::/32", "2a04:4e42::/32"),
}

func network(name string, within ...string) source {
	s := source{name: name}
	for _, p := range within {
		s.within = append(s.within, netip.MustParsePrefix(p))
	}
	return s
}
