// Package backend finds endpoints for connections and requests, as the served table says. A Snapshot is one table; its
// backends have members, and a member is an endpoint, of which the counts and idle connections outlive the table.
package backend

import (
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/rate"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/table"
)

// Snapshot is one table, ready to be served. It is immutable but for the counters that it points to.
type Snapshot struct {
	Table     rhumb.Table
	Listeners map[socket.Binding]rhumb.Listener
	Rules     table.Rules
	TLS       table.Hosts
	Chains    chain.Set // of the options; set before the snapshot is served

	limits    *rate.Book
	backends  map[string]*backend
	endpoints map[table.EndpointKey]*Endpoint
	replicas  map[string]*Replica // those in the table, and those that left it but may have connections open
	stays     map[string]bool     // by replica ID: it is in the table, and its quiet connections may stay
	replaced  chan struct{}       // closed by Retire
}

// Empty returns the snapshot of no table.
func Empty() *Snapshot {
	return (&Snapshot{limits: rate.NewBook()}).Next(rhumb.Table{}, func(rhumb.Endpoint) bool { return false })
}

// Next returns the snapshot of t without the hidden endpoints. Counters, failures and idle connections of what stays
// come from s.
func (s *Snapshot) Next(t rhumb.Table, hidden func(rhumb.Endpoint) bool) *Snapshot {
	endpoints := 0
	for _, b := range t.Backends {
		endpoints += len(b.Endpoints)
	}
	n := &Snapshot{
		Table:     t,
		Listeners: make(map[socket.Binding]rhumb.Listener, len(t.Listeners)),
		Rules:     table.Compile(t.Rules, t.Options),
		TLS:       table.HostsOf(t),
		limits:    s.limits.Next(t.Backends),
		backends:  make(map[string]*backend, len(t.Backends)),
		endpoints: make(map[table.EndpointKey]*Endpoint, endpoints),
		replicas:  make(map[string]*Replica, endpoints),
		stays:     make(map[string]bool, endpoints),
		replaced:  make(chan struct{}),
	}
	for _, l := range t.Listeners {
		n.Listeners[socket.Of(l)] = l
	}
	for id, r := range s.replicas {
		if r.open.Load() > 0 {
			n.replicas[id] = r
		}
	}
	// Until n is served, requests find their endpoints in s. A replica that looks idle now may have a connection then.
	for _, b := range s.backends {
		for _, m := range b.active {
			n.replicas[m.ReplicaID()] = m.replica
		}
	}
	for i := range t.Backends {
		n.addBackend(s, &t.Backends[i], hidden)
	}
	return n
}

func (s *Snapshot) addBackend(old *Snapshot, spec *rhumb.Backend, hidden func(rhumb.Endpoint) bool) {
	b := &backend{spec: spec}
	if o := old.backends[spec.Name]; o != nil {
		b.counters, b.turn = o.counters, o.turn
	} else {
		b.counters, b.turn = &counters{}, &atomic.Uint32{}
	}
	inUse := map[int]bool{}
	b.active = make([]*Member, 0, len(spec.Endpoints))
	for i, e := range spec.Endpoints {
		inUse[e.Release] = true
		known := s.endpoint(old, e)
		s.stays[e.Replica] = s.stays[e.Replica] || !e.Leave
		if !e.Draining && !hidden(e) {
			m := &Member{Endpoint: known, Spec: &spec.Endpoints[i], backend: b.counters,
				release: b.counters.release(e.Release)}
			b.active = append(b.active, m)
		}
	}
	b.counters.prune(inUse)
	s.backends[spec.Name] = b
}

// endpoint returns the Endpoint of e: that of this snapshot, that of the old one, or a new one.
func (s *Snapshot) endpoint(old *Snapshot, e rhumb.Endpoint) *Endpoint {
	k := table.KeyOf(e)
	if known := s.endpoints[k]; known != nil {
		return known
	}
	known := old.endpoints[k]
	if known == nil {
		known = &Endpoint{Addr: e.Addr.String(), replica: s.replica(old, e.Replica),
			connecting: make(chan struct{}, 1)}
	}
	s.endpoints[k], s.replicas[e.Replica] = known, known.replica
	return known
}

func (s *Snapshot) replica(old *Snapshot, id string) *Replica {
	if r := s.replicas[id]; r != nil {
		return r
	}
	if r := old.replicas[id]; r != nil {
		return r
	}
	return &Replica{ID: id}
}

// Retire wakes what waits for another snapshot. It is called once, after the next one is served.
func (s *Snapshot) Retire() { close(s.replaced) }

// CloseUnused closes the idle connections of the old snapshot's endpoints that get nothing new in s.
func (s *Snapshot) CloseUnused(old *Snapshot) {
	active := make(map[*Endpoint]bool, len(s.endpoints))
	for _, b := range s.backends {
		for _, m := range b.active {
			active[m.Endpoint] = true
		}
	}
	for _, e := range old.endpoints {
		if !active[e] {
			e.closeIdle()
		}
	}
}

// Endpoints returns the endpoints of a backend that aren't hidden, draining ones too.
func (s *Snapshot) Endpoints(backend string, hidden func(rhumb.Endpoint) bool) map[*Endpoint]bool {
	found := map[*Endpoint]bool{}
	if b := s.backends[backend]; b != nil {
		for _, e := range b.spec.Endpoints {
			if !hidden(e) {
				found[s.endpoints[table.KeyOf(e)]] = true
			}
		}
	}
	return found
}

// Active returns the IDs of the replicas that get what is new at a backend.
func (s *Snapshot) Active(backend string) (replicas []string) {
	if b := s.backends[backend]; b != nil {
		for _, m := range b.active {
			replicas = append(replicas, m.ReplicaID())
		}
	}
	return replicas
}

// Stays reports whether a replica is in the table and its quiet connections may stay.
func (s *Snapshot) Stays(replica string) bool { return s.stays[replica] }

// Leaving returns the replicas whose quiet connections must go.
func (s *Snapshot) Leaving() (leaving []*Replica) {
	for id, r := range s.replicas {
		if !s.stays[id] {
			leaving = append(leaving, r)
		}
	}
	return leaving
}

// Open counts what is in flight, and what of it is busy, by replica ID. Replicas without anything are left out.
func (s *Snapshot) Open() (open, busy map[string]int) {
	open, busy = map[string]int{}, map[string]int{}
	for id, r := range s.replicas {
		n := int(r.open.Load())
		if n <= 0 {
			continue
		}
		open[id] = n
		if b := r.busy(); b > 0 {
			busy[id] = b
		}
	}
	return open, busy
}

// Stats returns the counts of all backends by name.
func (s *Snapshot) Stats() map[string]rhumb.BackendStats {
	stats := make(map[string]rhumb.BackendStats, len(s.backends))
	for name, b := range s.backends {
		stats[name] = b.counters.stats()
	}
	for name, limited := range s.limits.Stats(time.Now()) {
		st := stats[name]
		st.Limits = limited
		stats[name] = st
	}
	return stats
}

// Limits returns the limits of a backend; nil: it has none.
func (s *Snapshot) Limits(backend string) *rate.Set { return s.limits.Of(backend) }

// Limited returns what limits have done, by backend.
func (s *Snapshot) Limited() map[string]*rhumb.LimitStats { return s.limits.Stats(time.Now()) }

// Sticky reports whether the clients of a backend stay with a slot.
func (s *Snapshot) Sticky(backend string) bool {
	b := s.backends[backend]
	return b != nil && b.spec.Sticky
}

// Logged returns a backend whose requests are logged; nil if they aren't.
func (s *Snapshot) Logged(backend string) *rhumb.Backend {
	if b := s.backends[backend]; b != nil && b.spec.AccessLog {
		return b.spec
	}
	return nil
}

// Spec returns a backend as the table has it; nil if it is unknown.
func (s *Snapshot) Spec(backend string) *rhumb.Backend {
	if b := s.backends[backend]; b != nil {
		return b.spec
	}
	return nil
}

// Stack returns the stack of a backend; "" if it is unknown.
func (s *Snapshot) Stack(backend string) string {
	if b := s.backends[backend]; b != nil {
		return b.spec.Stack
	}
	return ""
}
