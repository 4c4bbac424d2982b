package bans

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
)

// index finds the entry of an address. Lookups take a lock of one of many shards only, for reading. Changes hold the
// book's lock.
type index struct {
	active  atomic.Int64
	seed    uint64
	shards  [64]shard
	lengths [2][3]atomic.Uint64 // a bit for each length of a prefix that is there; of IPv4, then of IPv6
	number  [2][129]int         // of entries with the length; under the book's lock
}

type shard struct {
	mu      sync.RWMutex
	entries map[netip.Prefix]*entry
}

func (x *index) init() {
	x.seed = rand.Uint64()
	for i := range x.shards {
		x.shards[i].entries = map[netip.Prefix]*entry{}
	}
}

// find returns the entry of the smallest network that has the address and is banned at that time; nil: none is.
func (x *index) find(a netip.Addr, now int64) *entry {
	a = a.Unmap().WithZone("")
	lengths := &x.lengths[family(a)]
	for w := len(lengths) - 1; w >= 0; w-- {
		for set := lengths[w].Load(); set != 0; {
			n := bits.Len64(set) - 1
			set &^= 1 << n
			p, err := a.Prefix(64*w + n)
			if err != nil {
				continue
			}
			if e := x.at(p); e != nil && now < e.until {
				return e
			}
		}
	}
	return nil
}

// at returns the entry of exactly this prefix; nil: there is none.
func (x *index) at(p netip.Prefix) *entry {
	s := x.shard(p)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[p]
}

// put adds an entry whose prefix has none. The caller holds the book's lock.
func (x *index) put(e *entry) {
	p := e.ban.Client
	s := x.shard(p)
	s.mu.Lock()
	s.entries[p] = e
	s.mu.Unlock()
	x.active.Add(1)
	x.note(p, 1)
}

// drop removes an entry. The caller holds the book's lock.
func (x *index) drop(e *entry) {
	p := e.ban.Client
	s := x.shard(p)
	s.mu.Lock()
	delete(s.entries, p)
	s.mu.Unlock()
	x.active.Add(-1)
	x.note(p, -1)
}

// note counts an entry with the length of a prefix.
func (x *index) note(p netip.Prefix, change int) {
	f, n := family(p.Addr()), p.Bits()
	x.number[f][n] += change
	word, bit := &x.lengths[f][n/64], uint64(1)<<(n%64)
	if x.number[f][n] > 0 {
		word.Or(bit)
	} else {
		word.And(^bit)
	}
}

// shard returns the shard of a prefix.
func (x *index) shard(p netip.Prefix) *shard {
	b := p.Addr().As16()
	h := mix(binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:]), x.seed)
	return &x.shards[h%uint64(len(x.shards))]
}

// mix returns a hash of two words.
func mix(a, b, seed uint64) uint64 {
	hi, lo := bits.Mul64(a^seed, 0x9e3779b97f4a7c15)
	h := hi ^ lo ^ b
	hi, lo = bits.Mul64(h^seed, 0xd6e8feb86659fd93)
	return hi ^ lo
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}
