package convert

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
)

func (c *converter) ipam(key string, ipam types.IPAMConfig) rhumb.IPAM {
	out := rhumb.IPAM{Driver: ipam.Driver, Options: filled(ipam.Options)}
	path := "networks." + key + ".ipam.config"
	for i, p := range ipam.Config {
		if p == nil {
			continue
		}
		at := path + "[" + strconv.Itoa(i) + "]"
		c.prefix(at+".subnet", p.Subnet)
		c.prefix(at+".ip_range", p.IPRange)
		c.address(at+".gateway", p.Gateway)
		out.Pools = append(out.Pools, rhumb.Pool{Subnet: p.Subnet, Gateway: p.Gateway, IPRange: p.IPRange, Aux: filled(p.AuxiliaryAddresses)})
	}
	return out
}

func (c *converter) prefix(path, s string) {
	if s == "" {
		return
	}
	if _, err := netip.ParsePrefix(s); err != nil {
		c.bad.At(path, "write it as 172.28.0.0/16", "%q is not a subnet", s)
	}
}

func (c *converter) address(path, s string) {
	if s == "" {
		return
	}
	if _, err := netip.ParseAddr(s); err != nil {
		c.bad.At(path, "write it as 172.28.0.5 or fd00::5", "%q is not an IP address", s)
	}
}

// linkAliases notes the aliases that a service's links give to others.
func (c *converter) linkAliases(s types.ServiceConfig) {
	for _, link := range s.Links {
		other, alias, ok := strings.Cut(link, ":")
		if !ok || alias == other {
			continue
		}
		if c.aliases[other] == nil {
			c.aliases[other] = map[string]string{}
		}
		c.aliases[other][alias] = s.Name
	}
}

// attachments gives the networks that a service joins, the one with the highest priority first.
func (c *converter) attachments(s types.ServiceConfig) []rhumb.Attachment {
	var list []rhumb.Attachment
	names := s.NetworksByPriority()
	if onBridge(s.NetworkMode) {
		names = []string{"default"}
	}
	for _, key := range names {
		n, ok := c.project.Networks[key]
		if !ok {
			continue // reported by check
		}
		c.networks[key] = true
		a := rhumb.Attachment{Network: n.Name}
		if cfg := s.Networks[key]; cfg != nil {
			path := "services." + s.Name + ".networks." + key
			c.address(path+".ipv4_address", cfg.Ipv4Address)
			c.address(path+".ipv6_address", cfg.Ipv6Address)
			a.IPv4, a.IPv6, a.LinkLocal = cfg.Ipv4Address, cfg.Ipv6Address, cfg.LinkLocalIPs
			a.Priority, a.DriverOpts = cfg.Priority, filled(cfg.DriverOpts)
			a.Aliases = cfg.Aliases
		}
		a.Aliases = c.allAliases(s, a.Aliases)
		list = append(list, a)
	}
	return list
}

// mac gives the container's MAC address: its own, or that of its only network.
func (c *converter) mac(s types.ServiceConfig) string {
	path, mac := "services."+s.Name+".mac_address", s.MacAddress
	for key, n := range s.Networks {
		if n == nil || n.MacAddress == "" {
			continue
		}
		at := "services." + s.Name + ".networks." + key + ".mac_address"
		switch {
		case len(s.Networks) > 1:
			c.bad.At(at, "leave it out, or join one network only", "with several networks it needs Engine 25")
		case mac != "" && !strings.EqualFold(mac, n.MacAddress):
			c.bad.At(at, "keep one of them", "mac_address of the service is %s", mac)
		}
		path, mac = at, n.MacAddress
	}
	if _, err := net.ParseMAC(mac); mac != "" && err != nil {
		c.bad.At(path, "write it as 02:42:ac:11:00:02", "%q is not a MAC address", mac)
	}
	return mac
}

// onBridge tells whether a network_mode means Docker's own bridge, in whose place the stack's default network is used.
func onBridge(mode string) bool { return mode == "bridge" || mode == "default" }

// allAliases gives the service's own name, then its other names, sorted.
func (c *converter) allAliases(s types.ServiceConfig, own []string) []string {
	var others []string
	others = append(others, own...)
	if s.ContainerName != "" {
		others = append(others, s.ContainerName)
	}
	for alias := range c.aliases[s.Name] {
		others = append(others, alias)
	}
	slices.Sort(others)
	others = slices.DeleteFunc(slices.Compact(others), func(a string) bool { return a == s.Name || a == "" })
	return append([]string{s.Name}, others...)
}
