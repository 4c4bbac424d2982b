package drawing

import (
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client/pkg/versions"

	"rhumb"
)

// Connection is a network that a container joins after its creation.
type Connection struct {
	Network  string
	Endpoint *network.EndpointSettings
	Beside   bool // not one of the container's own: it may be gone
}

// networkMode returns the mode; with networks it is the first of them.
func (d *drawing) networkMode() string {
	if d.c.NetworkMode != "" {
		return d.join("network_mode", d.c.NetworkMode)
	}
	if as := d.c.NetworksByPriority(); len(as) > 0 {
		return as[0].Network
	}
	return ""
}

// networks maps the attachments: all of them at creation where the engine can, else the first at creation and the
// others after it.
func (d *drawing) networks() (*network.NetworkingConfig, []Connection) {
	as := d.c.NetworksByPriority()
	if d.c.MacAddress != "" && len(as) > 0 && as[0].MAC == "" {
		as[0].MAC = d.c.MacAddress
	}
	switch {
	case len(as) > 0 && d.c.NetworkMode != "":
		d.invalid("network_mode and networks can't be combined")
		return nil, nil
	case len(as) == 0 && d.c.MacAddress != "":
		as = []rhumb.Attachment{{Network: d.bareNetwork(), MAC: d.c.MacAddress}}
	case len(as) == 0:
		return nil, nil
	}
	cfg := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{}}
	var further []Connection
	for i, a := range as {
		ep := d.endpoint(a)
		if i > 0 && versions.LessThan(d.API, "1.44") {
			further = append(further, Connection{Network: a.Network, Endpoint: ep})
			continue
		}
		cfg.EndpointsConfig[a.Network] = ep
	}
	for _, a := range d.beside() {
		further = append(further, Connection{Network: a.Network, Endpoint: d.endpoint(a), Beside: true})
	}
	return cfg, further
}

// beside returns the networks that the container joins beside its own for a while. They must not become its way out:
// connections to the outside would break when they go. Engines before API 1.48 choose the network whose name comes
// first.
func (d *drawing) beside() []rhumb.Attachment {
	return slices.DeleteFunc(slices.Clone(d.spec.Beside), func(a rhumb.Attachment) bool {
		first := !slices.ContainsFunc(d.c.Networks, func(own rhumb.Attachment) bool { return own.Network < a.Network })
		return len(d.c.Networks) == 0 || first && versions.LessThan(d.API, "1.48")
	})
}

// bareNetwork returns the network of a container that names none.
func (d *drawing) bareNetwork() string {
	if d.c.NetworkMode != "" {
		return d.c.NetworkMode
	}
	return "bridge"
}

// interfaceOption is the option with which a network's driver names the interface in the container.
const interfaceOption = "com.docker.network.endpoint.ifname"

// gatewayPriority returns the priority of a network as the container's way out. A network that the container is in
// beside its own has the lowest Priority and is never the way out.
func (d *drawing) gatewayPriority(a rhumb.Attachment) int {
	own := slices.ContainsFunc(d.c.Networks, func(o rhumb.Attachment) bool { return o.Network == a.Network })
	if own && slices.ContainsFunc(d.c.Networks, func(o rhumb.Attachment) bool { return o.GatewayPriority != 0 }) {
		return a.GatewayPriority
	}
	return a.Priority
}

// endpoint maps one attachment. An older engine has one MAC address for a container, which the first network carries
// there.
func (d *drawing) endpoint(a rhumb.Attachment) *network.EndpointSettings {
	ep := &network.EndpointSettings{Aliases: a.Aliases, DriverOpts: a.DriverOpts}
	if a.InterfaceName != "" {
		ep.DriverOpts = maps.Clone(a.DriverOpts)
		if ep.DriverOpts == nil {
			ep.DriverOpts = map[string]string{}
		}
		ep.DriverOpts[interfaceOption] = a.InterfaceName
	}
	if !versions.LessThan(d.API, "1.48") {
		ep.GwPriority = d.gatewayPriority(a)
	}
	if a.IPv4 != "" || a.IPv6 != "" || len(a.LinkLocal) > 0 {
		v4, _ := d.address("ipv4_address", a.IPv4)
		v6, _ := d.address("ipv6_address", a.IPv6)
		ep.IPAMConfig = &network.EndpointIPAMConfig{
			IPv4Address: v4, IPv6Address: v6, LinkLocalIPs: d.addresses("link_local_ips", a.LinkLocal),
		}
	}
	if a.MAC != "" {
		mac, err := net.ParseMAC(a.MAC)
		if err != nil {
			d.invalid("mac_address %q: %v", a.MAC, err)
		}
		ep.MacAddress = network.HardwareAddr(mac)
	}
	return ep
}

// bindings maps the ports that the engine publishes itself.
func (d *drawing) bindings() network.PortMap {
	if len(d.c.HostPorts) == 0 {
		return nil
	}
	m := network.PortMap{}
	for _, p := range d.c.HostPorts {
		protocol := network.TCP
		if p.Protocol == rhumb.UDP {
			protocol = network.UDP
		}
		port, _ := network.PortFrom(p.Target, protocol)
		ip, ok := d.address("published port", p.HostIP)
		if !ok {
			continue
		}
		m[port] = append(m[port], network.PortBinding{HostIP: ip, HostPort: published(p)})
	}
	return m
}

// published formats the host's port, or the range to choose from; "" lets the engine choose.
func published(p rhumb.Port) string {
	switch {
	case p.Published == 0:
		return ""
	case p.PublishedEnd > p.Published:
		return strconv.Itoa(int(p.Published)) + "-" + strconv.Itoa(int(p.PublishedEnd))
	}
	return strconv.Itoa(int(p.Published))
}
