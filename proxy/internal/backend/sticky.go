package backend

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"rhumb/proxy/internal/limits"
)

// Preference is which member a client had before. The zero value is none.
type Preference struct {
	Slot   int        // of its replica; 0: unknown
	Client netip.Addr // of an address, each member is preferred by some; the zero value: unknown
}

// ReachLike is Reach with a preference. A member that fails, or isn't there any more, isn't waited for.
func (b *Balancer) ReachLike(ctx context.Context, name string, p Preference, try func(*Member) error) error {
	return b.reach(ctx, name, p, try)
}

// preferred returns the active member that is preferred, and counts the new connection. It returns nil if there is none
// that works and that hasn't been tried.
func (be *backend) preferred(p Preference, tried []*Endpoint) *Member {
	var best *Member
	var most uint64
	now := time.Now()
	for _, m := range be.active {
		if m.failing(now) || slices.Contains(tried, m.Endpoint) {
			continue
		}
		weight := uint64(m.Spec.Release) // of two replicas in one slot, the newer one stays
		switch {
		case p.Slot > 0 && m.Spec.Slot != p.Slot:
			continue
		case p.Slot == 0:
			weight = m.weight(p.Client)
		}
		if best == nil || weight > most || weight == most && m.Spec.Release > best.Spec.Release {
			best, most = m, weight
		}
	}
	if best != nil {
		best.replica.open.Add(1)
	}
	return best
}

// weight returns how much a client's address prefers the member's slot. The highest weight wins (rendezvous hashing,
// Thaler and Ravishankar 1998): when a slot comes or goes, only its own clients move.
func (m *Member) weight(client netip.Addr) uint64 {
	a := limits.OfClient(client).As16()
	h := fnv.New64a()
	h.Write(a[:])
	if m.Spec.Slot > 0 {
		var slot [8]byte
		binary.LittleEndian.PutUint64(slot[:], uint64(m.Spec.Slot))
		h.Write(slot[:])
	} else {
		h.Write([]byte(m.Spec.Replica))
	}
	x := h.Sum64() // which spreads its last bytes badly
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
