package convert

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
)

const portHint = "write it as [host address:][host port:]container port[/udp], with ports from 1 to 65535"

// maxRange is how many ports one entry may publish or expose.
const maxRange = 1000

// ShortPort checks a port in the short syntax. It returns the number of container ports, and what is wrong, or "".
func ShortPort(s string) (count int, reason, hint string) {
	rest, proto, slash := strings.Cut(s, "/")
	if slash && !strings.EqualFold(proto, "tcp") && !strings.EqualFold(proto, "udp") {
		return 1, fmt.Sprintf("%q: unknown protocol %q", s, proto), "the proxy supports tcp and udp"
	}
	parts := strings.Split(rest, ":")
	if n := len(parts); n > 2 {
		ip := strings.Join(parts[:n-2], ":")
		if inner, ok := strings.CutPrefix(ip, "["); ok && strings.HasSuffix(ip, "]") {
			ip = strings.TrimSuffix(inner, "]")
		}
		if ip != "" && !isAddress(ip) {
			return 1, fmt.Sprintf("%q: %q is not an IP address", s, ip), portHint
		}
		parts = parts[n-2:]
	}
	sizes := []int{}
	for n, p := range parts {
		if p == "" && n < len(parts)-1 {
			continue // no host port: one is chosen later
		}
		size, reason := badRange(p)
		if reason != "" {
			return 1, fmt.Sprintf("%q: %s", s, reason), portHint
		}
		sizes = append(sizes, size)
	}
	if last := sizes[len(sizes)-1]; last > maxRange {
		return 1, fmt.Sprintf("%q: %d ports are more than %d", s, last, maxRange), "publish fewer ports"
	}
	if len(sizes) == 2 && sizes[0] != sizes[1] && sizes[1] != 1 {
		return 1, fmt.Sprintf("%q: %d host ports for %d container ports", s, sizes[0], sizes[1]),
			"both ranges must be of one length"
	}
	return sizes[len(sizes)-1], "", ""
}

// isAddress reports whether s is an IP address. Engines ignore zones.
func isAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}

// badRange checks "80" or "80-90" and returns the number of ports.
func badRange(s string) (int, string) {
	from, to, isRange := strings.Cut(s, "-")
	first, reason := badPort(from)
	if reason != "" || !isRange {
		return 1, reason
	}
	last, reason := badPort(to)
	if reason == "" && last < first {
		reason = "the range " + s + " goes backwards"
	}
	return last - first + 1, reason
}

func badPort(s string) (int, string) {
	n, err := strconv.ParseUint(s, 10, 32)
	switch {
	case s == "":
		return 0, "a port is missing"
	case errors.Is(err, strconv.ErrRange), n > 65535:
		return 0, "port " + s + " is out of range"
	case err != nil:
		return 0, strconv.Quote(s) + " is not a port"
	}
	return int(n), ""
}

// ports converts the published ports: those of the proxy, and those of mode host, which the engine publishes.
func (c *converter) ports(s types.ServiceConfig) (proxied, host []rhumb.Port) {
	for i, p := range s.Ports {
		path := fmt.Sprintf("services.%s.ports[%d]", s.Name, i)
		port, ok := c.port(path, p)
		if !ok {
			continue
		}
		if p.Mode == "host" {
			host = append(host, port)
			continue
		}
		if p.Mode != "" && p.Mode != "ingress" {
			c.bad.At(path+".mode", "choose ingress or host", "unknown mode %q", p.Mode)
		}
		proxied = append(proxied, port)
	}
	if len(host)+len(proxied) > 0 &&
		(strings.Contains(s.NetworkMode, ":") || s.NetworkMode == "none" || s.NetworkMode == "host") {
		c.bad.At("services."+s.Name+".ports", "leave ports out, or network_mode",
			"network_mode %s leaves no ports to publish", s.NetworkMode)
	}
	return proxied, host
}

func (c *converter) port(path string, p types.ServicePortConfig) (rhumb.Port, bool) {
	out := rhumb.Port{HostIP: p.HostIP, Target: uint16(p.Target), Protocol: rhumb.TCP}
	if p.Target < 1 || p.Target > 65535 {
		c.bad.At(path, portHint, "container port %d is out of range", p.Target)
		return out, false
	}
	switch strings.ToLower(p.Protocol) {
	case "", "tcp":
	case "udp":
		out.Protocol = rhumb.UDP
	case "sctp":
		return out, false // the table refuses it
	default:
		c.bad.At(path, "the proxy supports tcp and udp", "unknown protocol %s", p.Protocol)
		return out, false
	}
	if app := strings.ToLower(p.AppProtocol); out.Protocol == rhumb.TCP && p.Mode != "host" &&
		(app == "http" || app == "http/1.1") {
		out.Protocol = rhumb.HTTP
	}
	if p.HostIP != "" {
		if !isAddress(p.HostIP) {
			c.bad.At(path, portHint, "%q is not an IP address", p.HostIP)
			return out, false
		}
	}
	if p.Published == "" || p.Published == "0" {
		return out, true
	}
	if _, reason := badRange(p.Published); reason != "" {
		c.bad.At(path, portHint, "%s", reason)
		return out, false
	}
	from, to, isRange := strings.Cut(p.Published, "-")
	first, _ := strconv.ParseUint(from, 10, 16)
	out.Published = uint16(first)
	if last, _ := strconv.ParseUint(to, 10, 16); isRange && last > first {
		out.PublishedEnd = uint16(last)
	}
	return out, true
}

// expose returns the container's ports in the user's order: of ports, of expose, of routes.
func (c *converter) expose(s types.ServiceConfig, routes []rhumb.Route) []string {
	var list []string
	add := func(port int, proto string) {
		if p := strconv.Itoa(port) + "/" + proto; !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, p := range s.Ports {
		add(int(p.Target), cmp.Or(strings.ToLower(p.Protocol), "tcp"))
	}
	for i, e := range s.Expose {
		ports, proto, _ := strings.Cut(e, "/")
		size, reason := badRange(ports)
		if reason == "" && proto != "" && proto != "tcp" && proto != "udp" {
			reason = "unknown protocol " + proto
		}
		if reason == "" && size > maxRange {
			reason = fmt.Sprintf("%d ports are more than %d", size, maxRange)
		}
		if reason != "" {
			c.bad.At(fmt.Sprintf("services.%s.expose[%d]", s.Name, i), "write it as 8000 or 8000/udp", "%q: %s", e, reason)
			continue
		}
		from, _, _ := strings.Cut(ports, "-")
		first, _ := badPort(from)
		for n := range size {
			add(first+n, cmp.Or(proto, "tcp"))
		}
	}
	for _, r := range routes {
		if r.Port != 0 {
			add(int(r.Port), "tcp")
		}
	}
	return list
}

// holder is a service that publishes a port.
type holder struct {
	service string
	port    rhumb.Port
}

// published reports ports that are published twice on overlapping addresses, by one service or two.
func (c *converter) published(services []rhumb.Service) {
	held := map[string][]holder{}
	for _, s := range services {
		for _, p := range slices.Concat(s.Ports, s.Container.HostPorts) {
			if p.Published == 0 || p.PublishedEnd != 0 {
				continue
			}
			kind := "tcp"
			if p.Protocol == rhumb.UDP {
				kind = "udp"
			}
			id := strconv.Itoa(int(p.Published)) + "/" + kind
			for _, other := range held[id] {
				if overlap(other.port.HostIP, p.HostIP) {
					c.twice(id, other, holder{s.Name, p})
					break
				}
			}
			held[id] = append(held[id], holder{s.Name, p})
		}
	}
}

func (c *converter) twice(id string, first, second holder) {
	at := c.portPath(second)
	if first.service == second.service {
		c.bad.At(at, "keep one of them", "port %s is published twice", id)
		return
	}
	c.bad.At(at, "choose another host port for one of them", "port %s is published by %s already (%s)",
		id, first.service, c.lines.Find(c.portPath(first)))
}

// portPath returns the port's path in the model, which has the line.
func (c *converter) portPath(h holder) string {
	path := "services." + h.service + ".ports"
	for i, p := range c.project.Services[h.service].Ports {
		if p.HostIP == h.port.HostIP && p.Target == uint32(h.port.Target) &&
			p.Published == strconv.Itoa(int(h.port.Published)) {
			return fmt.Sprintf("%s[%d]", path, i)
		}
	}
	return path
}

// overlap reports whether two host addresses can't be bound at the same time. "" is all addresses.
func overlap(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil || errY != nil || x == y {
		return true
	}
	return x.Is4() == y.Is4() && (x.IsUnspecified() || y.IsUnspecified())
}
