package control

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
	"rhumb/rollout"
)

// desk is the one place where the routing table is changed. It keeps no table of its own: every change is made on
// the one the proxy serves, so that a proxy or a daemon that starts anew is the ordinary case.
type desk struct {
	router rhumb.Router
	entry  netip.AddrPort
	https  netip.AddrPort  // the zero value: no TLS
	acme   rhumb.Authority // the zero value: off
	mu     sync.Mutex

	wishes    map[string][]rhumb.Certificate // by stack
	handed    map[string]bool                // the stacks whose wishes the proxy has
	httpsFrom time.Time                      // when the entry for TLS is tried again
}

// routeTimeout limits one exchange with the proxy.
const routeTimeout = 10 * time.Second

// Edit applies a change and returns once the proxy serves it. Nothing is sent if edit changes nothing.
func (d *desk) Edit(ctx context.Context, edit func(*rhumb.Table)) error {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	st, err := d.router.Status(ctx)
	if err != nil {
		return err
	}
	t := cloneTable(st.Table)
	edit(&t)
	prune(&t)
	d.certify(&t)
	d.openEntry(&t)
	arrange(&t)
	if sameTable(t, st.Table) {
		return nil
	}
	t.Version++
	err = d.router.Apply(ctx, t)
	if rhumb.ErrorCode(err) == rhumb.Conflict {
		if less, ok := d.withoutHTTPS(t, st.Table); ok {
			return d.router.Apply(ctx, less)
		}
	}
	return err
}

// Status gives what the proxy serves.
func (d *desk) Status(ctx context.Context) (rhumb.RouterStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	return d.router.Status(ctx)
}

// openEntry listens for routes by host and path while there are any.
func (d *desk) openEntry(t *rhumb.Table) {
	t.Listeners = slices.DeleteFunc(t.Listeners, func(l rhumb.Listener) bool { return l.Backend == "" })
	if len(t.Rules) > 0 {
		t.Listeners = append(t.Listeners, rhumb.Listener{Addr: d.entry, Protocol: rhumb.HTTP})
	}
	d.openHTTPS(t)
}

func cloneTable(t rhumb.Table) rhumb.Table {
	t.Listeners = slices.Clone(t.Listeners)
	t.Rules = slices.Clone(t.Rules)
	t.Backends = slices.Clone(t.Backends)
	for i := range t.Backends {
		t.Backends[i].Endpoints = slices.Clone(t.Backends[i].Endpoints)
	}
	t.Segments = cloneSegments(t.Segments)
	return t
}

// prune drops backends that nothing leads to and that hold no endpoint any more.
func prune(t *rhumb.Table) {
	led := map[string]bool{}
	for _, l := range t.Listeners {
		led[l.Backend] = true
	}
	for _, r := range t.Rules {
		led[r.Backend] = true
	}
	t.Backends = slices.DeleteFunc(t.Backends, func(b rhumb.Backend) bool { return !led[b.Name] && len(b.Endpoints) == 0 })
}

func arrange(t *rhumb.Table) {
	slices.SortFunc(t.Listeners, func(a, b rhumb.Listener) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return strings.Compare(string(a.Protocol), string(b.Protocol))
	})
	slices.SortFunc(t.Rules, func(a, b rhumb.Rule) int {
		if c := strings.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	slices.SortFunc(t.Backends, func(a, b rhumb.Backend) int { return strings.Compare(a.Name, b.Name) })
	for _, b := range t.Backends {
		slices.SortFunc(b.Endpoints, byReplica)
	}
	arrangeSegments(t.Segments)
}

func byReplica(a, b rhumb.Endpoint) int { return strings.Compare(a.Name+a.Replica, b.Name+b.Replica) }

func sameTable(a, b rhumb.Table) bool {
	return slices.Equal(a.Listeners, b.Listeners) && slices.Equal(a.Rules, b.Rules) &&
		slices.Equal(a.Certificates, b.Certificates) && a.Authority == b.Authority &&
		slices.EqualFunc(a.Backends, b.Backends, func(x, y rhumb.Backend) bool {
			return x.Name == y.Name && x.Stack == y.Stack && x.Service == y.Service && x.Hold == y.Hold && slices.EqualFunc(x.Endpoints, y.Endpoints, sameEndpoint)
		}) && slices.EqualFunc(a.Segments, b.Segments, sameSegment)
}

func sameEndpoint(e, f rhumb.Endpoint) bool {
	since := e.Since.Equal(f.Since)
	e.Since, f.Since = time.Time{}, time.Time{}
	return since && e == f
}

// backendName names the backend of a service's target port.
func backendName(stack, service string, port uint16, p rhumb.Protocol) string {
	name := stack + "/" + service + ":" + itoa(port)
	if p == rhumb.UDP {
		name += "/udp"
	}
	return name
}

// target is one port of a service that the proxy leads to.
type target struct {
	Port     uint16
	Protocol rhumb.Protocol
}

// targets lists the ports of a service that the proxy leads to, each once.
func targets(s *rhumb.Service) []target {
	var ts []target
	add := func(t target) {
		if t.Protocol == rhumb.HTTP {
			t.Protocol = rhumb.TCP
		}
		if !slices.Contains(ts, t) {
			ts = append(ts, t)
		}
	}
	for _, p := range s.Ports {
		add(target{p.Target, p.Protocol})
	}
	for _, r := range s.Routes {
		add(target{r.Port, rhumb.HTTP})
	}
	return ts
}

// backend gives the table's backend of that name, and makes it if it isn't there.
func backend(t *rhumb.Table, stack string, s *rhumb.Service, port uint16, p rhumb.Protocol) *rhumb.Backend {
	name := backendName(stack, s.Name, port, p)
	for i := range t.Backends {
		if t.Backends[i].Name == name {
			t.Backends[i].Hold = s.Hold
			return &t.Backends[i]
		}
	}
	t.Backends = append(t.Backends, rhumb.Backend{Name: name, Stack: stack, Service: s.Name, Hold: s.Hold})
	return &t.Backends[len(t.Backends)-1]
}

// publish makes an address lead to the service; addr is one of s.Addresses().
func publish(t *rhumb.Table, stack string, s *rhumb.Service, addr string) {
	for _, p := range s.Ports {
		if p.Address() == addr {
			b := backend(t, stack, s, p.Target, p.Protocol).Name
			at := bindAddr(p)
			t.Listeners = slices.DeleteFunc(t.Listeners, func(l rhumb.Listener) bool {
				return l.Backend != "" && l.Addr == at && sameWire(l.Protocol, p.Protocol)
			})
			t.Listeners = append(t.Listeners, rhumb.Listener{Addr: at, Protocol: p.Protocol, Backend: b})
		}
	}
	for _, r := range s.Routes {
		if r.Address() == addr {
			b := backend(t, stack, s, r.Port, rhumb.HTTP).Name
			t.Rules = slices.DeleteFunc(t.Rules, func(x rhumb.Rule) bool { return ruleAddress(x) == addr })
			t.Rules = append(t.Rules, rhumb.Rule{Host: r.Host, Path: r.Path, Backend: b})
		}
	}
}

// unpublish closes an address of the stack.
func unpublish(t *rhumb.Table, stack, addr string) {
	owner := owners(*t)
	t.Listeners = slices.DeleteFunc(t.Listeners, func(l rhumb.Listener) bool {
		return owner[l.Backend].Stack == stack && listenerAddress(l) == addr
	})
	t.Rules = slices.DeleteFunc(t.Rules, func(r rhumb.Rule) bool {
		return owner[r.Backend].Stack == stack && ruleAddress(r) == addr
	})
}

// route adds a replica's endpoints, or makes them active again. With lead, the service's addresses lead to the
// backends of this very definition from now on (its target ports may be others than the old ones).
func route(t *rhumb.Table, stack string, s *rhumb.Service, r rhumb.Replica, at netip.Addr, lead bool) {
	for _, tg := range targets(s) {
		b := backend(t, stack, s, tg.Port, tg.Protocol)
		b.Endpoints = slices.DeleteFunc(b.Endpoints, func(e rhumb.Endpoint) bool { return e.Replica == r.ID })
		b.Endpoints = append(b.Endpoints, rhumb.Endpoint{
			Replica: r.ID, Name: r.Name(), Release: r.Release, Addr: netip.AddrPortFrom(at, tg.Port),
		})
	}
	if !lead {
		return
	}
	for _, addr := range s.Addresses() {
		publish(t, stack, s, addr)
	}
}

// drain gives a replica's endpoints no new connections.
func drain(t *rhumb.Table, stack, id string, now time.Time) {
	eachEndpointOf(t, stack, func(e *rhumb.Endpoint) {
		if e.Replica == id && !e.Draining {
			e.Draining, e.Since = true, now
		}
	})
}

// unroute takes a replica out of the table.
func unroute(t *rhumb.Table, id string) {
	for i := range t.Backends {
		t.Backends[i].Endpoints = slices.DeleteFunc(t.Backends[i].Endpoints, func(e rhumb.Endpoint) bool { return e.Replica == id })
	}
	for _, s := range t.Segments {
		for i := range s.Services {
			s.Services[i].Endpoints = slices.DeleteFunc(s.Services[i].Endpoints, func(e rhumb.Endpoint) bool { return e.Replica == id })
		}
	}
}

// routesOf gives what a table says of one stack's replicas and addresses.
func routesOf(st rhumb.RouterStatus, stack string) (routes map[string]rollout.Route, published map[string]string) {
	routes, published = map[string]rollout.Route{}, map[string]string{}
	eachEndpointOf(&st.Table, stack, func(e *rhumb.Endpoint) {
		if was, ok := routes[e.Replica]; !ok || was.Draining { // active somewhere is active
			routes[e.Replica] = rollout.Route{Draining: e.Draining, Since: e.Since, Open: st.Open[e.Replica]}
		}
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

// owners gives the backends by name.
func owners(t rhumb.Table) map[string]rhumb.Backend {
	m := make(map[string]rhumb.Backend, len(t.Backends))
	for _, b := range t.Backends {
		m[b.Name] = b
	}
	return m
}

// bindAddr is what the proxy binds for a port. Without a host IP that is all addresses, IPv4 and IPv6.
func bindAddr(p rhumb.Port) netip.AddrPort {
	ip := netip.IPv6Unspecified()
	if p.HostIP != "" {
		if a, err := netip.ParseAddr(p.HostIP); err == nil {
			ip = a.Unmap()
		}
	}
	return netip.AddrPortFrom(ip, p.Published)
}

func listenerAddress(l rhumb.Listener) string {
	p := rhumb.Port{Published: l.Addr.Port(), Protocol: l.Protocol}
	if l.Addr.Addr() != netip.IPv6Unspecified() {
		p.HostIP = l.Addr.Addr().String()
	}
	return p.Address()
}

func ruleAddress(r rhumb.Rule) string { return rhumb.Route{Host: r.Host, Path: r.Path}.Address() }

// sameWire tells whether two protocols can't share an address.
func sameWire(a, b rhumb.Protocol) bool { return (a == rhumb.UDP) == (b == rhumb.UDP) }
