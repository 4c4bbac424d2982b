package table

import (
	"net/netip"
	"strings"

	"rhumb"
	"rhumb/proxy/internal/socket"
)

// Validate returns an error with the code Invalid if t can't be served.
func Validate(t rhumb.Table) error {
	backends := make(map[string]bool, len(t.Backends))
	for _, b := range t.Backends {
		if err := validateBackend(b, backends); err != nil {
			return err
		}
		backends[b.Name] = true
	}
	if err := validateListeners(t.Listeners, backends); err != nil {
		return err
	}
	if err := validateSegments(t.Segments); err != nil {
		return err
	}
	if err := validateCertificates(t.Certificates); err != nil {
		return err
	}
	if err := validateOptions(t); err != nil {
		return err
	}
	seen := make(map[[2]string]bool, len(t.Rules))
	for _, r := range t.Rules {
		if err := validateRule(r, backends); err != nil {
			return err
		}
		key := [2]string{NormalHost(r.Host), normalPrefix(r.Path)}
		if seen[key] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: two rules for host %q, path %q", key[0], key[1])
		}
		seen[key] = true
	}
	return nil
}

// EndpointKey says which endpoints are the same. It is unique within a backend.
type EndpointKey struct {
	Replica string
	Addr    netip.AddrPort
}

// KeyOf returns the key of an endpoint.
func KeyOf(e rhumb.Endpoint) EndpointKey { return EndpointKey{e.Replica, e.Addr} }

func validateBackend(b rhumb.Backend, seen map[string]bool) error {
	switch {
	case b.Name == "":
		return rhumb.Errorf(rhumb.Invalid, "routing table: a backend has no name")
	case seen[b.Name]:
		return rhumb.Errorf(rhumb.Invalid, "routing table: two backends are named %q", b.Name)
	case b.Hold < 0:
		return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: hold is negative", b.Name)
	}
	keys := make(map[EndpointKey]bool, len(b.Endpoints))
	for _, e := range b.Endpoints {
		key := KeyOf(e)
		if !e.Addr.IsValid() || e.Addr.Port() == 0 || e.Replica == "" {
			return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: endpoint %q has no replica or no address",
				b.Name, e.Name)
		}
		if keys[key] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: duplicate endpoint %q", b.Name, e.Name)
		}
		keys[key] = true
		if e.Addr6.IsValid() && (!e.Addr6.Is6() || e.Addr6.Is4In6()) {
			return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: endpoint %q: %s isn't an address of IPv6",
				b.Name, e.Name, e.Addr6)
		}
		if e.SendProxy != "" && e.SendProxy != rhumb.ProxyV1 && e.SendProxy != rhumb.ProxyV2 {
			return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: endpoint %q: unknown version %q of the PROXY "+
				"protocol", b.Name, e.Name, e.SendProxy)
		}
	}
	return validateLimits(b)
}

func validateListeners(ls []rhumb.Listener, backends map[string]bool) error {
	ports := map[uint16][]socket.Binding{}
	for _, l := range ls {
		b := socket.Of(l)
		switch l.Protocol {
		case rhumb.TCP, rhumb.UDP:
			if l.Backend == "" {
				return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s has no backend", b)
			}
		case rhumb.HTTP:
		case rhumb.HTTPS:
			if l.Backend != "" {
				return rhumb.Errorf(rhumb.Invalid,
					"routing table: listener %s: an HTTPS listener can't name a backend", b)
			}
		default:
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s: unknown protocol %q", l.Addr, l.Protocol)
		}
		if !l.Addr.IsValid() || l.Addr.Port() == 0 || l.Addr.Addr().Is4In6() {
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener address %s can't be bound", l.Addr)
		}
		if l.Backend != "" && !backends[l.Backend] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s names the unknown backend %q", b,
				l.Backend)
		}
		if l.AcceptProxy && l.Protocol == rhumb.UDP {
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s: the PROXY protocol is one of TCP", b)
		}
		for _, o := range ports[l.Addr.Port()] {
			if b.Overlaps(o) {
				return rhumb.Errorf(rhumb.Invalid, "routing table: listeners %s and %s overlap", o, b)
			}
		}
		ports[l.Addr.Port()] = append(ports[l.Addr.Port()], b)
	}
	return nil
}

func validateRule(r rhumb.Rule, backends map[string]bool) error {
	if !backends[r.Backend] {
		return rhumb.Errorf(rhumb.Invalid, "routing table: rule %s%s names the unknown backend %q", r.Host, r.Path,
			r.Backend)
	}
	if r.Path != "" && !strings.HasPrefix(r.Path, "/") {
		return rhumb.Errorf(rhumb.Invalid, "routing table: rule for %q: path %q doesn't begin with a slash", r.Host,
			r.Path)
	}
	host := strings.TrimPrefix(r.Host, "*.")
	if strings.ContainsAny(host, "*/ ") || r.Host != "" && NormalHost(host) == "" {
		return rhumb.Errorf(rhumb.Invalid, "routing table: rule for host %q: not a host name", r.Host).
			WithHint(`a host is a name, "*." and a name, or empty for any`)
	}
	return nil
}

func validateSegments(ss []rhumb.Segment) error {
	ids, bridges := map[string]bool{}, map[string]bool{}
	for _, s := range ss {
		switch {
		case s.ID == "" || s.Network == "":
			return rhumb.Errorf(rhumb.Invalid, "routing table: a segment has no network")
		case ids[s.ID] || bridges[s.Bridge]:
			return rhumb.Errorf(rhumb.Invalid, "routing table: two segments for network %s", s.Network)
		}
		ids[s.ID], bridges[s.Bridge] = true, true
		if err := validateNetwork(s.Network, s.Bridge, s.Subnet); err != nil {
			return err
		}
		if err := validateLegs(s); err != nil {
			return err
		}
		if err := validateServices(s); err != nil {
			return err
		}
	}
	return nil
}

func validateNetwork(name, bridge string, subnet netip.Prefix) error {
	switch {
	case bridge == "" || len(bridge) > 15 || strings.ContainsAny(bridge, "/ "):
		return rhumb.Errorf(rhumb.Invalid, "routing table: network %s: %q isn't a link's name", name, bridge)
	case !subnet.IsValid() || !subnet.Addr().Is4() || subnet != subnet.Masked():
		return rhumb.Errorf(rhumb.Invalid, "routing table: network %s: %s isn't an IPv4 subnet", name, subnet)
	}
	return nil
}

func validateLegs(s rhumb.Segment) error {
	ids := map[string]bool{s.ID: true}
	for _, l := range s.Legs {
		if err := validateNetwork(l.Network, l.Bridge, l.Subnet); err != nil {
			return err
		}
		if l.ID == "" || ids[l.ID] || !l.Subnet.Contains(l.Addr) || l.Subnet.Overlaps(s.Subnet) {
			return rhumb.Errorf(rhumb.Invalid, "routing table: network %s can't have a leg into network %s", s.Network,
				l.Network)
		}
		ids[l.ID] = true
	}
	return nil
}

func validateServices(s rhumb.Segment) error {
	addrs := map[netip.Addr]bool{}
	for _, a := range s.Services {
		if !s.Subnet.Contains(a.Addr) || addrs[a.Addr] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: network %s: service %s can't have the address %s",
				s.Network, a.Service, a.Addr)
		}
		addrs[a.Addr] = true
	}
	for _, a := range s.Services {
		replicas := map[string]bool{}
		for _, e := range a.Endpoints {
			at := e.Addr.Addr()
			if e.Replica == "" || replicas[e.Replica] || !s.Reaches(at) || addrs[at] {
				return rhumb.Errorf(rhumb.Invalid,
					"routing table: network %s: service %s: endpoint %q is a duplicate or "+
						"has no replica or a wrong address",
					s.Network, a.Service, e.Name)
			}
			replicas[e.Replica] = true
		}
	}
	return nil
}

// validateCertificates returns an error if the certificates can't be kept.
func validateCertificates(cs []rhumb.Certificate) error {
	seen := make(map[string]bool, len(cs))
	for _, c := range cs {
		host := NormalHost(c.Host)
		bare := strings.TrimPrefix(host, "*.")
		switch {
		case bare == "" || strings.ContainsAny(bare, "*/\\ :"):
			return rhumb.Errorf(rhumb.Invalid, "routing table: certificate for %q: not a host name", c.Host)
		case seen[host]:
			return rhumb.Errorf(rhumb.Invalid, "routing table: two certificates for %s", c.Host)
		case c.Source == rhumb.CertGiven && (c.Given == "" || strings.Trim(c.Given, "0123456789abcdef") != ""):
			return rhumb.Errorf(rhumb.Invalid, "routing table: certificate for %s: %q is not a hash", c.Host, c.Given)
		case c.Source != rhumb.CertGiven && c.Source != rhumb.CertInternal && c.Source != rhumb.CertACME:
			return rhumb.Errorf(rhumb.Invalid, "routing table: certificate for %s: unknown source %q", c.Host,
				c.Source)
		}
		seen[host] = true
	}
	return nil
}
