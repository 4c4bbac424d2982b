// Package networks creates and removes a Docker Engine's networks. A bridge leaves a part of its subnet to the stable
// addresses of services.
package networks

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
)

// optionsOf maps a network.
func optionsOf(stack string, n rhumb.Network) (client.NetworkCreateOptions, error) {
	ipam, err := ipamOf(n)
	if err != nil {
		return client.NetworkCreateOptions{}, err
	}
	labels := maps.Clone(n.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label.Stack], labels[label.Definition] = stack, n.Definition()
	o := client.NetworkCreateOptions{
		Driver: n.Driver, IPAM: ipam, Internal: n.Internal, Attachable: n.Attachable, Options: n.DriverOpts, Labels: labels,
	}
	if n.IPv6 {
		o.EnableIPv6 = &n.IPv6
	}
	return o, nil
}

// ipamOf maps a network's address management; nil leaves it to the engine.
func ipamOf(n rhumb.Network) (*network.IPAM, error) {
	if n.IPAM.Driver == "" && len(n.IPAM.Options) == 0 && len(n.IPAM.Pools) == 0 {
		return nil, nil
	}
	ipam := &network.IPAM{Driver: n.IPAM.Driver, Options: n.IPAM.Options}
	if ipam.Driver == "" {
		ipam.Driver = "default"
	}
	for _, p := range n.IPAM.Pools {
		c, err := poolOf(p)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "network %s: %w", n.Name, err)
		}
		ipam.Config = append(ipam.Config, c)
	}
	return ipam, nil
}

func poolOf(p rhumb.Pool) (network.IPAMConfig, error) {
	var c network.IPAMConfig
	var err error
	if p.Subnet != "" {
		if c.Subnet, err = netip.ParsePrefix(p.Subnet); err != nil {
			return c, err
		}
	}
	if p.IPRange != "" {
		if c.IPRange, err = netip.ParsePrefix(p.IPRange); err != nil {
			return c, err
		}
	}
	if p.Gateway != "" {
		if c.Gateway, err = netip.ParseAddr(p.Gateway); err != nil {
			return c, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Aux)) {
		a, err := netip.ParseAddr(p.Aux[name])
		if err != nil {
			return c, err
		}
		if c.AuxAddress == nil {
			c.AuxAddress = map[string]netip.Addr{}
		}
		c.AuxAddress[name] = a
	}
	return c, nil
}
