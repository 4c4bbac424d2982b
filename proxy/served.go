package proxy

import (
	"slices"
	"sync"
	"sync/atomic"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/chain"
)

// served is the snapshot that is served now. A new table replaces it, and so does the death of a replica. Both take mu
// only to swap memory: no I/O happens under it, so that a death takes effect at once.
type served struct {
	now atomic.Pointer[backend.Snapshot]

	mu      sync.Mutex
	dead    *dead
	chains  chain.Set                                                           // of the served table
	swapped func(old, next *backend.Snapshot, hidden func(rhumb.Endpoint) bool) // called under mu after each swap
}

func newServed(swapped func(old, next *backend.Snapshot, hidden func(rhumb.Endpoint) bool)) *served {
	s := &served{dead: newDead(), swapped: swapped}
	s.now.Store(backend.Empty())
	return s
}

func (s *served) load() *backend.Snapshot { return s.now.Load() }

// swap serves t with its chains from now on, and returns its snapshot.
func (s *served) swap(t rhumb.Table, chains chain.Set) *backend.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chains = chains
	s.dead.forgetLeft(s.load().Table, t)
	return s.replace(t)
}

// note takes a replica's death or start. It reports whether that is news, and whether the replica is in the served
// table.
func (s *served) note(l Life) (news, inTable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead.note(l) {
		return false, false
	}
	t := s.load().Table
	if inTable = replicasOf(t)[l.ID]; inTable {
		s.replace(t)
	}
	return true, inTable
}

// replace serves a new snapshot of t. The caller holds mu.
func (s *served) replace(t rhumb.Table) *backend.Snapshot {
	old := s.load()
	next := old.Next(t, s.dead.hides)
	next.Chains = s.chains
	s.now.Store(next)
	old.Retire()
	s.swapped(old, next, s.dead.hides)
	return next
}

// living returns a copy of the segments without the endpoints of dead replicas.
func (s *served) living(ss []rhumb.Segment) []rhumb.Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss = rhumb.Table{Segments: ss}.Clone().Segments
	for _, seg := range ss {
		for i := range seg.Services {
			es := &seg.Services[i].Endpoints
			*es = slices.DeleteFunc(*es, s.dead.hides)
		}
	}
	return ss
}
