package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rhumb"
)

// holdings names what differs between the networks and volumes of two releases, by their keys in the Compose files.
func holdings(a, b *rhumb.Stack) []string {
	what := byKey("networks.", a.Networks, b.Networks, func(n rhumb.Network) string { return n.Key }, Network)
	key := func(v rhumb.Volume) string { return v.Key }
	return append(what, byKey("volumes.", a.Volumes, b.Volumes, key, volume)...)
}

// byKey names the elements that differ, and how they differ, sorted by key.
func byKey[T any](noun string, a, b []T, key func(T) string, differ func(T, T) []string) []string {
	was, now := map[string]T{}, map[string]T{}
	for _, x := range a {
		was[key(x)] = x
	}
	for _, x := range b {
		now[key(x)] = x
	}
	keys := slices.Sorted(maps.Keys(was))
	keys = slices.AppendSeq(keys, maps.Keys(now))
	slices.Sort(keys)
	var what []string
	for _, k := range slices.Compact(keys) {
		x, had := was[k]
		y, has := now[k]
		switch {
		case !had:
			what = append(what, noun+k+" added")
		case !has:
			what = append(what, noun+k+" removed")
		default:
			if d := differ(x, y); len(d) > 0 {
				what = append(what, noun+k+" changed: "+strings.Join(d, ", "))
			}
		}
	}
	return what
}

// Network returns what differs between two definitions of one network.
func Network(a, b rhumb.Network) []string {
	var what []string
	eachField(&a, &b, func(name string, x, y any) {
		switch name {
		case "Key", "Name":
		case "DriverOpts":
			what = append(what, diffKeys("driver_opts", a.DriverOpts, b.DriverOpts)...)
		case "Labels":
			what = append(what, diffKeys("label", a.Labels, b.Labels)...)
		case "IPAM":
			what = append(what, ipam(a.IPAM, b.IPAM)...)
		case "IPv6":
			what = append(what, fromTo("enable_ipv6", x, y))
		default:
			what = append(what, fromTo(fieldWord(name), x, y))
		}
	})
	if a.Name != b.Name && len(what) == 0 {
		what = []string{"made again as " + b.Name}
	}
	return what
}

// volume names what differs between two definitions of one volume.
func volume(a, b rhumb.Volume) []string {
	var what []string
	eachField(&a, &b, func(name string, x, y any) {
		switch name {
		case "Key", "Driver", "DriverOpts":
		case "Labels":
			what = append(what, diffKeys("label", a.Labels, b.Labels)...)
		default:
			what = append(what, fromTo(fieldWord(name), x, y))
		}
	})
	return append(what, b.Differs(a.Driver, a.DriverOpts)...)
}

// ipam names what differs between the IPAM settings of two networks.
func ipam(a, b rhumb.IPAM) []string {
	if len(a.Pools) != 1 || len(b.Pools) != 1 {
		if slices.EqualFunc(a.Pools, b.Pools, func(p, q rhumb.Pool) bool { return len(ipamPool(p, q)) == 0 }) {
			return ipamDriver(a, b)
		}
		return append(ipamDriver(a, b), fromTo("subnet", subnets(a), subnets(b)))
	}
	return append(ipamDriver(a, b), ipamPool(a.Pools[0], b.Pools[0])...)
}

func ipamDriver(a, b rhumb.IPAM) []string {
	var what []string
	if a.Driver != b.Driver {
		what = append(what, fromTo("ipam driver", a.Driver, b.Driver))
	}
	if !maps.Equal(a.Options, b.Options) {
		what = append(what, "ipam options")
	}
	return what
}

func ipamPool(a, b rhumb.Pool) []string {
	var what []string
	for _, x := range []struct{ name, was, is string }{
		{"subnet", a.Subnet, b.Subnet}, {"gateway", a.Gateway, b.Gateway}, {"ip_range", a.IPRange, b.IPRange},
	} {
		if x.was != x.is {
			what = append(what, fromTo(x.name, x.was, x.is))
		}
	}
	if !maps.Equal(a.Aux, b.Aux) {
		what = append(what, "aux_addresses")
	}
	return what
}

// subnets lists the subnets of a network's IPAM settings.
func subnets(i rhumb.IPAM) string {
	var list []string
	for _, p := range i.Pools {
		list = append(list, p.Subnet)
	}
	return strings.Join(list, " and ")
}

// fromTo says what a setting was and is. An empty one is left to the engine.
func fromTo(name string, was, is any) string {
	word := func(x any) string {
		if s := fmt.Sprint(x); s != "" {
			return s
		}
		return "the engine's choice"
	}
	return name + " " + word(was) + " to " + word(is)
}

// join is how a container joins a network of a stack, by the network's key: its name in the engine changes with its
// definition.
type join struct {
	key string
	rhumb.Attachment
}

func joined(c *rhumb.Container, of *rhumb.Stack) []join {
	var list []join
	for _, a := range c.Networks {
		key := a.Network
		if i := slices.IndexFunc(of.Networks, func(n rhumb.Network) bool { return n.Name == a.Network }); i >= 0 {
			key = of.Networks[i].Key
		}
		list = append(list, join{key, a})
	}
	return list
}
