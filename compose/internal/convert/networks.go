package convert

import (
	"maps"
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
		out.Pools = append(out.Pools,
			rhumb.Pool{Subnet: p.Subnet, Gateway: p.Gateway, IPRange: p.IPRange, Aux: filled(p.AuxiliaryAddresses)})
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

// linkAliases records the aliases that a service's links add to other services.
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

// attachments returns the networks of a service, the one with the highest priority first.
func (c *converter) attachments(s types.ServiceConfig) []rhumb.Attachment {
	var list []rhumb.Attachment
	names := s.NetworksByPriority()
	if joins(s.NetworkMode) {
		names = []string{c.joined("services."+s.Name+".network_mode", s.NetworkMode)}
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
			a.GatewayPriority, a.InterfaceName = cfg.GatewayPriority, cfg.InterfaceName
			if len(s.Networks) > 1 { // that of an only network is the container's: mac
				c.checkMAC(path+".mac_address", cfg.MacAddress)
				a.MAC = cfg.MacAddress
			}
			a.Aliases = cfg.Aliases
		}
		a.Aliases = c.allAliases(s, a.Aliases)
		list = append(list, a)
	}
	return list
}

// mac returns the container's MAC address: its own, or that of its only network.
func (c *converter) mac(s types.ServiceConfig) string {
	path, mac := "services."+s.Name+".mac_address", s.MacAddress
	for key, n := range s.Networks {
		if n == nil || n.MacAddress == "" || len(s.Networks) > 1 {
			continue
		}
		at := "services." + s.Name + ".networks." + key + ".mac_address"
		if mac != "" && !strings.EqualFold(mac, n.MacAddress) {
			c.bad.At(at, "keep one of them", "mac_address of the service is %s", mac)
		}
		path, mac = at, n.MacAddress
	}
	c.checkMAC(path, mac)
	return mac
}

func (c *converter) checkMAC(path, mac string) {
	if _, err := net.ParseMAC(mac); mac != "" && err != nil {
		c.bad.At(path, "write it as 02:42:ac:11:00:02", "%q is not a MAC address", mac)
	}
}

// onBridge reports whether a network_mode is Docker's own bridge, which the stack's default network replaces.
func onBridge(mode string) bool { return mode == "bridge" || mode == "default" }

// joins reports whether a network_mode is the name of a network.
func joins(mode string) bool {
	return mode != "" && mode != "host" && mode != "none" && !strings.Contains(mode, ":")
}

// joined returns the key of the network that the network_mode at path names: one of the stack, or else one of the
// engine.
func (c *converter) joined(path, mode string) string {
	if onBridge(mode) {
		return "default"
	}
	key, ok := c.network(mode)
	if !ok {
		if c.project.Networks == nil {
			c.project.Networks = types.Networks{}
		}
		key = mode
		c.project.Networks[key] = types.NetworkConfig{Name: mode, External: true}
	}
	if c.lines.Has(path) && !c.lines.Has("networks."+key) {
		c.note(path, rhumb.Emulated, "the service joins network %s of the server, which isn't the stack's", mode)
	}
	return key
}

// network returns the key of the network with that key or name.
func (c *converter) network(name string) (key string, ok bool) {
	if _, ok := c.project.Networks[name]; ok {
		return name, true
	}
	for _, key := range slices.Sorted(maps.Keys(c.project.Networks)) {
		if c.project.Networks[key].Name == name {
			return key, true
		}
	}
	return "", false
}

// asBridge turns an overlay network into a bridge. Options that only overlays have become notes.
func (c *converter) asBridge(n *rhumb.Network) {
	path := "networks." + n.Key
	n.Driver = ""
	if n.Attachable {
		n.Attachable = false
		c.note(path+".attachable", rhumb.Ignored, "any container can join a bridge")
	}
	opts := map[string]string{}
	for name, value := range n.DriverOpts {
		if name != "encrypted" && !strings.HasPrefix(name, "com.docker.network.driver.overlay.") {
			opts[name] = value
			continue
		}
		c.note(path+".driver_opts."+name, rhumb.Ignored, "it is for overlay networks: a bridge sends nothing to other "+
			"machines")
	}
	n.DriverOpts = filled(opts)
}

// allAliases returns the service's own name, then its other names, sorted.
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
