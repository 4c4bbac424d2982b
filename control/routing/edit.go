package routing

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/rollout"
)

// backendName returns the name of the backend of a service's target port.
func backendName(stack, service string, port uint16, p rhumb.Protocol) string {
	name := stack + "/" + service + ":" + strconv.Itoa(int(port))
	if p == rhumb.UDP {
		name += overUDP
	}
	return name
}

// overUDP is how the name of a backend of UDP ends.
const overUDP = "/udp"

func isUDP(backend string) bool { return strings.HasSuffix(backend, overUDP) }

// servicePort is a port of a service to which the proxy sends requests or connections.
type servicePort struct {
	port     uint16
	protocol rhumb.Protocol
}

// servicePorts returns the ports of a service to which the proxy sends requests or connections, each once.
func servicePorts(s *rhumb.Service) []servicePort {
	var list []servicePort
	add := func(p servicePort) {
		if p.protocol == rhumb.HTTP {
			p.protocol = rhumb.TCP
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, p := range s.Ports {
		add(servicePort{p.Target, p.Protocol})
	}
	for _, r := range s.Routes {
		add(servicePort{r.Port, rhumb.HTTP})
	}
	return list
}

// backend returns the table's backend of a service's target port. It adds the backend if the table lacks it.
func backend(t *rhumb.Table, stack string, s *rhumb.Service, port uint16, p rhumb.Protocol) *rhumb.Backend {
	name := backendName(stack, s.Name, port, p)
	for i := range t.Backends {
		if t.Backends[i].Name == name {
			t.Backends[i].Hold = s.Hold
			return &t.Backends[i]
		}
	}
	t.Backends = append(t.Backends, rhumb.Backend{Name: name, Stack: stack, Service: s.Name, Hold: s.Hold,
		AccessLog: s.AccessLog, Sticky: s.Sticky, Limits: s.Limits, Bans: s.Bans})
	return &t.Backends[len(t.Backends)-1]
}

// Configure copies the settings of services in the model to a stack's backends and listeners. While a deployment is
// open, requests in its gaps may still need the hold of the release before, so the hold follows when the deployment has
// ended.
func Configure(t *rhumb.Table, stack string, m *rhumb.Stack, open bool) {
	for i := range t.Backends {
		b := &t.Backends[i]
		s := m.Service(b.Service)
		if s == nil || b.Stack != stack {
			continue
		}
		b.AccessLog, b.Sticky, b.Limits, b.Bans = s.AccessLog, s.Sticky, s.Limits, s.Bans
		place(b)
		acceptPreambles(t, b.Name, s.AcceptProxy)
		if !open {
			b.Hold = s.Hold
			if !isUDP(b.Name) {
				sendPreambles(b, s.SendProxy)
			}
		}
	}
	configureOptions(t, stack, m)
}

// acceptPreambles has the listeners of a backend expect a header of the PROXY protocol from trusted proxies, or not.
func acceptPreambles(t *rhumb.Table, backend string, accept bool) {
	for i := range t.Listeners {
		if l := &t.Listeners[i]; l.Backend == backend {
			l.AcceptProxy = accept && l.Protocol != rhumb.UDP
		}
	}
}

// sendPreambles has the endpoints that get new connections get such a header, or none. While a deployment is open, each
// replica gets what its own release says.
func sendPreambles(b *rhumb.Backend, version rhumb.ProxyProtocol) {
	for i := range b.Endpoints {
		if e := &b.Endpoints[i]; !e.Draining {
			e.SendProxy = version
		}
	}
}

// Publish makes an address lead to the service; addr is one of s.Addresses(). If another stack has the address, Publish
// returns Conflict and changes nothing.
func Publish(t *rhumb.Table, stack string, s *rhumb.Service, addr string) error {
	owner := owners(*t)
	for _, p := range s.Ports {
		if p.Address() == addr {
			at := bindAddr(p)
			if held, b := holder(*t, owner, rhumb.Listener{Addr: at, Protocol: p.Protocol}); held && b.Stack != stack {
				return taken(addr, b)
			}
			b := backend(t, stack, s, p.Target, p.Protocol).Name
			t.Listeners = slices.DeleteFunc(t.Listeners, func(l rhumb.Listener) bool {
				return l.Backend != "" && l.Addr == at && sameWire(l.Protocol, p.Protocol)
			})
			t.Listeners = append(t.Listeners, rhumb.Listener{Addr: at, Protocol: p.Protocol, Backend: b,
				Options: portOptions(t, s, p), AcceptProxy: s.AcceptProxy && p.Protocol != rhumb.UDP})
		}
	}
	for _, r := range s.Routes {
		if r.Address() == addr {
			if held, b := ruleHolder(*t, owner, addr); held && b.Stack != stack {
				return taken(addr, b)
			}
			b := backend(t, stack, s, r.Port, rhumb.HTTP).Name
			t.Rules = slices.DeleteFunc(t.Rules, func(x rhumb.Rule) bool { return ruleAddress(x) == addr })
			t.Rules = append(t.Rules, rhumb.Rule{Host: r.Host, Path: r.Path, Backend: b, Options: addOptions(t, r.Options)})
		}
	}
	return nil
}

// PublishAll makes all addresses of a service lead to the backends of this definition, whose target ports may differ
// from those of an earlier one. Addresses that another stack has stay with it.
func PublishAll(t *rhumb.Table, stack string, s *rhumb.Service) {
	for _, addr := range s.Addresses() {
		_ = Publish(t, stack, s, addr)
	}
}

func taken(addr string, by rhumb.Backend) error {
	return rhumb.Errorf(rhumb.Conflict, "%s is published by %s/%s", addr, by.Stack, by.Service).
		WithHint("choose another address, or remove it from %s first", by.Stack)
}

// Unpublish closes an address of the stack.
func Unpublish(t *rhumb.Table, stack, addr string) {
	owner := owners(*t)
	t.Listeners = slices.DeleteFunc(t.Listeners, func(l rhumb.Listener) bool {
		return owner[l.Backend].Stack == stack && listenerAddress(l) == addr
	})
	t.Rules = slices.DeleteFunc(t.Rules, func(r rhumb.Rule) bool {
		return owner[r.Backend].Stack == stack && ruleAddress(r) == addr
	})
}

// Route adds a replica's endpoints, or makes them active again. All are like at, but for their ports.
func Route(t *rhumb.Table, stack string, s *rhumb.Service, at rhumb.Endpoint) {
	for _, p := range servicePorts(s) {
		b := backend(t, stack, s, p.port, p.protocol)
		b.Endpoints = slices.DeleteFunc(b.Endpoints, func(e rhumb.Endpoint) bool { return e.Replica == at.Replica })
		at.Addr, at.SendProxy = netip.AddrPortFrom(at.Addr.Addr(), p.port), s.SendProxy
		if p.protocol == rhumb.UDP {
			at.SendProxy = ""
		}
		b.Endpoints = append(b.Endpoints, at)
		place(b)
	}
}

// Drain makes a replica get no new connections. If no other replica gets them, its quiet connections are closed too.
func Drain(t *rhumb.Table, stack, id string, now time.Time) {
	leave := !OthersServe(t, stack, id)
	eachEndpointOf(t, stack, func(e *rhumb.Endpoint) {
		if e.Replica == id && !e.Draining {
			e.Draining, e.Since, e.Leave = true, now, leave
		}
	})
}

// OthersServe reports whether each backend and service address of a replica has another, active replica.
func OthersServe(t *rhumb.Table, stack, id string) bool {
	var lists [][]rhumb.Endpoint
	for _, b := range t.Backends {
		if b.Stack == stack {
			lists = append(lists, b.Endpoints)
		}
	}
	for _, seg := range t.Segments {
		for _, svc := range seg.Services {
			if seg.Stack == stack {
				lists = append(lists, svc.Endpoints)
			}
		}
	}
	others := false
	for _, es := range lists {
		if !slices.ContainsFunc(es, func(e rhumb.Endpoint) bool { return e.Replica == id }) {
			continue
		}
		if !slices.ContainsFunc(es, func(e rhumb.Endpoint) bool { return e.Replica != id && !e.Draining }) {
			return false
		}
		others = true
	}
	return others
}

// BusyOf returns how many connections and requests aren't quiet, by replica ID. An older proxy doesn't report that;
// then all open ones count.
func BusyOf(st rhumb.RouterStatus) map[string]int {
	if st.Busy == nil {
		return st.Open
	}
	return st.Busy
}

// Draining reports whether any endpoint of a replica is draining.
func Draining(t *rhumb.Table, stack, id string) (is bool) {
	eachEndpointOf(t, stack, func(e *rhumb.Endpoint) { is = is || e.Replica == id && e.Draining })
	return is
}

// Unroute removes a replica from the table.
func Unroute(t *rhumb.Table, id string) {
	gone := func(e rhumb.Endpoint) bool { return e.Replica == id }
	for i := range t.Backends {
		t.Backends[i].Endpoints = slices.DeleteFunc(t.Backends[i].Endpoints, gone)
	}
	for _, s := range t.Segments {
		for i := range s.Services {
			s.Services[i].Endpoints = slices.DeleteFunc(s.Services[i].Endpoints, gone)
		}
	}
}

// RoutesOf returns the routes of a stack's replicas, by replica ID, and the services that its addresses lead to.
func RoutesOf(st rhumb.RouterStatus, stack string) (routes map[string]rollout.Route, published map[string]string) {
	routes, published = map[string]rollout.Route{}, map[string]string{}
	busy := BusyOf(st)
	eachEndpointOf(&st.Table, stack, func(e *rhumb.Endpoint) {
		if was, ok := routes[e.Replica]; ok && !was.Draining {
			return // a replica that is active anywhere is active
		}
		open, busy := st.Open[e.Replica], busy[e.Replica]
		routes[e.Replica] = rollout.Route{Draining: e.Draining, Since: e.Since, Open: open, Busy: busy}
	})
	owner := owners(st.Table)
	for _, l := range st.Table.Listeners {
		if b := owner[l.Backend]; b.Stack == stack && l.Backend != "" {
			published[listenerAddress(l)] = b.Service
		}
	}
	for _, r := range st.Table.Rules {
		if b := owner[r.Backend]; b.Stack == stack {
			published[ruleAddress(r)] = b.Service
		}
	}
	return routes, published
}

// Elsewhere reports whether the table has an address that the replica has lost, because it was restarted by hand.
func Elsewhere(t rhumb.Table, rep rhumb.Replica) bool {
	if len(rep.Addrs) == 0 {
		return false // it shares the network of another container
	}
	for _, b := range t.Backends {
		for _, e := range b.Endpoints {
			if e.Replica == rep.ID && !slices.Contains(slices.Collect(maps.Values(rep.Addrs)), e.Addr.Addr()) {
				return true
			}
		}
	}
	return false
}
