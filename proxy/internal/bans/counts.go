package bans

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// counts counts matches, by rule and client. It has at most maxCounters of them: of more, one that hasn't counted for
// long is dropped.
type counts struct {
	seed   uint64
	shards [64]countShard
}

type countShard struct {
	mu       sync.Mutex
	counters map[countKey]counter
}

// maxCounters take some 20 MB.
const maxCounters = 256 << 10

// countKey has no pointers, so that the collector of garbage doesn't look at the maps.
type countKey struct{ rule, hi, lo uint64 }

func keyOf(rule uint64, client netip.Prefix) countKey {
	b := client.Addr().As16()
	return countKey{rule, binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (c *counts) init() {
	c.seed = rand.Uint64()
	for i := range c.shards {
		c.shards[i].counters = map[countKey]counter{}
	}
}

func (c *counts) shard(k countKey) *countShard {
	return &c.shards[mix(k.rule^k.hi, k.lo, c.seed)%uint64(len(c.shards))]
}

// add counts a match, and returns how many there are within the time, as far as is known.
func (c *counts) add(k countKey, at time.Time, in time.Duration) int {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	counter, ok := s.counters[k]
	if !ok && len(s.counters) >= maxCounters/len(c.shards) {
		s.dropOne()
	}
	n := counter.add(at.UnixNano(), int64(in))
	s.counters[k] = counter
	return n
}

// look returns a client's counter; the zero counter if it has none.
func (c *counts) look(k countKey) counter {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters[k]
}

// clear forgets a client's counter.
func (c *counts) clear(k countKey) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.counters, k)
}

// dropOne drops the counter of some that hasn't counted for the longest. The caller holds mu.
func (s *countShard) dropOne() {
	var oldest countKey
	n := 0
	for k, c := range s.counters {
		if n == 0 || c.last < s.counters[oldest].last {
			oldest = k
		}
		if n++; n == sampled {
			break
		}
	}
	delete(s.counters, oldest)
}

// counter counts in constant memory: it knows when the first and the last match were. When the first one is too old,
// as many are taken to be left as the time would have had if all had come evenly. Fail2Ban counts in the same way, so
// that its users get the bans that they know.
type counter struct {
	first, last int64 // Unix nanoseconds
	n           int32
}

// add counts a match at a time, and returns how many there are.
func (c *counter) add(at, in int64) int {
	switch {
	case c.n == 0:
		c.first, c.last = at, at
	case at > c.last:
		c.age(at, in)
		c.last = at
	}
	if c.n < math.MaxInt32 {
		c.n++
	}
	return int(c.n)
}

// age drops what is older than in at that time.
func (c *counter) age(at, in int64) {
	if c.first < at-in {
		c.n = int32(math.RoundToEven(float64(c.n) / float64(at-c.first) * float64(in)))
		c.first = at - in
	}
}
