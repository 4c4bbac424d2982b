package proxy

import (
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/table"
)

// snapshot is one table, ready to be served. It is immutable but for the counters that it points to.
type snapshot struct {
	table     rhumb.Table
	listeners map[socket.Binding]rhumb.Listener
	rules     table.Rules
	tls       table.Hosts
	backends  map[string]*backend
	targets   map[targetKey]*target
	replicas  map[string]*replica // those in the table, and those that left it with connections open
	stays     map[string]bool     // by replica ID: it is in the table, and its quiet connections may stay
	replaced  chan struct{}       // closed once another snapshot is served
}

// nobody hides no endpoint.
func nobody(rhumb.Endpoint) bool { return false }

// emptySnapshot serves nothing.
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
		rules:     table.Compile(t.Rules),
		tls:       table.HostsOf(t),
		backends:  make(map[string]*backend, len(t.Backends)),
		targets:   make(map[targetKey]*target, endpoints),
		replicas:  make(map[string]*replica, endpoints),
		stays:     make(map[string]bool, endpoints),
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
		s.stays[e.Replica] = s.stays[e.Replica] || !e.Leave
		if !e.Draining && !hidden(e) {
			b.active = append(b.active, &endpoint{target: t, backend: b.counters, release: b.counters.release(e.Release)})
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
	return &replica{id: id}
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

// open counts what is in flight, and what of it is busy, by replica ID; replicas without anything are left out.
func (s *snapshot) open() (open, busy map[string]int) {
	open, busy = map[string]int{}, map[string]int{}
	now := time.Now()
	for id, r := range s.replicas {
		n := int(r.open.Load())
		if n <= 0 {
			continue
		}
		open[id] = n
		if b := r.busy(now); b > 0 {
			busy[id] = b
		}
	}
	return open, busy
}
