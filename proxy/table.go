package proxy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"

	"rhumb"
	"rhumb/proxy/internal/socket"
)

// snapshot is one table, ready to be served. It is immutable but for the counters that it points to.
type snapshot struct {
	table     rhumb.Table
	listeners map[socket.Binding]rhumb.Listener
	rules     ruleSet
	tls       tlsHosts
	backends  map[string]*backend
	targets   map[targetKey]*target
	replicas  map[string]*replica // those in the table, and those that left it with connections open
	replaced  chan struct{}       // closed once another snapshot is served
}

// emptySnapshot serves nothing.
// nobody hides no endpoint.
func nobody(rhumb.Endpoint) bool { return false }

func emptySnapshot() *snapshot { return (&snapshot{}).next(rhumb.Table{}, nobody) }

// next builds the snapshot of t without the dead replicas; counters, failures and idle connections of what stays come from s.
func (s *snapshot) next(t rhumb.Table, hidden func(rhumb.Endpoint) bool) *snapshot {
	endpoints := 0
	for _, b := range t.Backends {
		endpoints += len(b.Endpoints)
	}
	n := &snapshot{
		table:     t,
		listeners: make(map[socket.Binding]rhumb.Listener, len(t.Listeners)),
		rules:     compileRules(t.Rules),
		tls:       tlsHostsOf(t),
		backends:  make(map[string]*backend, len(t.Backends)),
		targets:   make(map[targetKey]*target, endpoints),
		replicas:  make(map[string]*replica, endpoints),
		replaced:  make(chan struct{}),
	}
	for _, l := range t.Listeners {
		n.listeners[socket.Of(l)] = l
	}
	for id, r := range s.replicas {
		if r.open.Load() > 0 {
			n.replicas[id] = r
		}
	}
	for i := range t.Backends {
		n.addBackend(s, &t.Backends[i], hidden)
	}
	return n
}

func (s *snapshot) addBackend(old *snapshot, spec *rhumb.Backend, hidden func(rhumb.Endpoint) bool) {
	b := &backend{spec: spec}
	if o := old.backends[spec.Name]; o != nil {
		b.counters, b.turn = o.counters, o.turn
	} else {
		b.counters, b.turn = &backendCounters{}, &atomic.Uint32{}
	}
	inUse := map[int]bool{}
	b.active = make([]*endpoint, 0, len(spec.Endpoints))
	for _, e := range spec.Endpoints {
		inUse[e.Release] = true
		t := s.target(old, e)
		if !e.Draining && !hidden(e) {
			b.active = append(b.active, &endpoint{target: t, release: b.counters.release(e.Release)})
		}
	}
	b.counters.prune(inUse)
	s.backends[spec.Name] = b
}

// target gives the endpoint's, from this snapshot, the old one, or new.
func (s *snapshot) target(old *snapshot, e rhumb.Endpoint) *target {
	key := targetKey{e.Replica, e.Addr}
	if t := s.targets[key]; t != nil {
		return t
	}
	t := old.targets[key]
	if t == nil {
		t = &target{addr: e.Addr.String(), replica: s.replica(old, e.Replica)}
	}
	s.targets[key], s.replicas[e.Replica] = t, t.replica
	return t
}

func (s *snapshot) replica(old *snapshot, id string) *replica {
	if r := s.replicas[id]; r != nil {
		return r
	}
	if r := old.replicas[id]; r != nil {
		return r
	}
	return &replica{}
}

// activeTargets gives those that get new connections through some backend.
func (s *snapshot) activeTargets() map[*target]bool {
	m := make(map[*target]bool, len(s.targets))
	for _, b := range s.backends {
		for _, e := range b.active {
			m[e.target] = true
		}
	}
	return m
}

// open counts what is in flight, by replica ID; replicas without anything are left out.
func (s *snapshot) open() map[string]int {
	m := map[string]int{}
	for id, r := range s.replicas {
		if n := r.open.Load(); n > 0 {
			m[id] = int(n)
		}
	}
	return m
}

// cloneTable copies all that the caller of Apply might change afterwards, with no empty lists in it, so that
// equal tables have equal JSON.
func cloneTable(t rhumb.Table) rhumb.Table {
	t.Listeners = cloneList(t.Listeners)
	t.Rules = cloneList(t.Rules)
	t.Backends = cloneList(t.Backends)
	for i := range t.Backends {
		t.Backends[i].Endpoints = cloneList(t.Backends[i].Endpoints)
	}
	t.Segments = cloneSegments(t.Segments)
	t.Certificates = cloneList(t.Certificates)
	return t
}

func cloneList[T any](l []T) []T {
	if len(l) == 0 {
		return nil
	}
	return slices.Clone(l)
}

func sameTable(a, b rhumb.Table) bool { return sameJSON(a, b) }

// maxTable is how many bytes of JSON a table may have; 10,000 endpoints have about 2 MB.
const maxTable = 64 << 20

// decodeTable reads a table that came over the wire or from disk. Unknown fields are an error when strict: a
// daemon newer than the proxy must not believe that what it asked for is served.
func decodeTable(data []byte, strict bool) (rhumb.Table, error) {
	var t rhumb.Table
	d := json.NewDecoder(bytes.NewReader(data))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(&t); err != nil {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Invalid, "routing table: not understood: %w", err)
	}
	if d.More() {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Invalid, "routing table: something follows it")
	}
	return t, validate(t)
}

// validate tells whether t can be served at all.
func validate(t rhumb.Table) error {
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
	seen := make(map[[2]string]bool, len(t.Rules))
	for _, r := range t.Rules {
		if err := validateRule(r, backends); err != nil {
			return err
		}
		key := [2]string{normalHost(r.Host), normalPrefix(r.Path)}
		if seen[key] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: two rules for host %q, path %q", key[0], key[1])
		}
		seen[key] = true
	}
	return nil
}

func validateBackend(b rhumb.Backend, seen map[string]bool) error {
	switch {
	case b.Name == "":
		return rhumb.Errorf(rhumb.Invalid, "routing table: a backend has no name")
	case seen[b.Name]:
		return rhumb.Errorf(rhumb.Invalid, "routing table: two backends are named %q", b.Name)
	case b.Hold < 0:
		return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: hold is negative", b.Name)
	}
	keys := make(map[targetKey]bool, len(b.Endpoints))
	for _, e := range b.Endpoints {
		key := targetKey{e.Replica, e.Addr}
		if !e.Addr.IsValid() || e.Addr.Port() == 0 || e.Replica == "" {
			return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: endpoint %q has no replica or no address", b.Name, e.Name)
		}
		if keys[key] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: endpoint %q is there twice", b.Name, e.Name)
		}
		keys[key] = true
	}
	return nil
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
				return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s: over TLS requests are led by rules only", b)
			}
		default:
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s: no such protocol: %q", l.Addr, l.Protocol)
		}
		if !l.Addr.IsValid() || l.Addr.Port() == 0 || l.Addr.Addr().Is4In6() {
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener address %s can't be bound", l.Addr)
		}
		if l.Backend != "" && !backends[l.Backend] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s leads to the unknown backend %q", b, l.Backend)
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
		return rhumb.Errorf(rhumb.Invalid, "routing table: rule %s%s leads to the unknown backend %q", r.Host, r.Path, r.Backend)
	}
	if r.Path != "" && !strings.HasPrefix(r.Path, "/") {
		return rhumb.Errorf(rhumb.Invalid, "routing table: rule for %q: path %q doesn't begin with a slash", r.Host, r.Path)
	}
	host := strings.TrimPrefix(r.Host, "*.")
	if strings.ContainsAny(host, "*/ ") || r.Host != "" && normalHost(host) == "" {
		return rhumb.Errorf(rhumb.Invalid, "routing table: rule for host %q: not a host name", r.Host).
			WithHint(`a host is a name, "*." and a name, or empty for any`)
	}
	return nil
}
