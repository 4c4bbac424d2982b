package rate

import (
	"sync"
	"time"

	"rhumb/proxy/internal/limits"
)

// Pace is how fast a bucket empties, and how much fits into it. Each request takes Each to drain; one more fits while
// what is in the bucket takes at most Burst.
type Pace struct{ Each, Burst time.Duration }

// Table has the bucket of each key: GCRA, the generic cell rate algorithm of ATM. A bucket is one number, the time at
// which it will be empty. An empty bucket is like none, so it costs nothing to forget.
//
// The table is bounded. When a set of places is full of buckets that aren't empty, a new key takes the place of the
// bucket that will be empty first, and takes over what is in it. So a key that returns after it lost its place never
// finds less in its bucket than it left: everything in its set was fuller, and has only been filled since. A client
// that has thousands of addresses can't empty its bucket by using the others. A newcomer to a table that is full of
// clients over their limits is treated like one of them; for that, millions of addresses must be over their limits at
// the same time. TestEvictionNeverEmptiesABucket compares with a map of all keys.
type Table struct {
	budget *limits.Budget
	shards [1 << shardBits]shard
}

const (
	shardBits = 6
	ways      = 8
	mostSets  = 1 << 13 // of a shard: 4 million places in all, of 16 bytes each
)

// shard is a part of a table with a lock of its own. Its sets are a power of two.
type shard struct {
	mu      sync.Mutex
	sets    []set
	evicted bool // a bucket that wasn't empty has lost its place
}

type set [ways]place

// place has a bucket. Without a key, it may still have what a new bucket in it begins with.
type place struct {
	key   uint64
	until time.Duration // when it will be empty
}

// NewTable returns a table that grows within the budget.
func NewTable(b *limits.Budget) *Table {
	t := &Table{budget: b}
	for i := range t.shards {
		t.shards[i].sets = make([]set, 1)
	}
	return t
}

// Drop returns the table's places to the budget. What still uses the table may do so.
func (t *Table) Drop() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		t.budget.Return(int64(len(s.sets)-1) * ways)
		s.sets = make([]set, 1)
		s.mu.Unlock()
	}
}

// Wait returns how long it takes until one more fits into the bucket of a key; 0: it fits now. The key isn't 0. Times
// are those since any point in the past.
func (t *Table) Wait(key uint64, now time.Duration, p Pace) time.Duration {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := s.placeOf(key, now, t.budget)
	return max(at.until-now-p.Burst, 0)
}

// Put puts one more into the bucket of a key, even if it doesn't fit.
func (t *Table) Put(key uint64, now time.Duration, p Pace) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.placeOf(key, now, t.budget)
	if !known {
		s.evicted = s.evicted || at.until > now
		at.key = key
	}
	at.until = max(at.until, now) + p.Each
}

func (t *Table) shard(key uint64) *shard { return &t.shards[key>>(64-shardBits)] }

// placeOf returns the place of a key, and whether it has one. If not, it is the place that the key is to get. The shard
// grows for it before a bucket that isn't empty loses its place.
func (s *shard) placeOf(key uint64, now time.Duration, b *limits.Budget) (at *place, known bool) {
	at, known = s.find(key)
	for !known && at.until > now && s.grow(now, b) {
		at, _ = s.find(key)
	}
	return at, known
}

// find returns the place of a key, or the one that will be empty first.
func (s *shard) find(key uint64) (at *place, known bool) {
	in := &s.sets[key&uint64(len(s.sets)-1)]
	at = &in[0]
	for i := range in {
		if in[i].key == key {
			return &in[i], true
		}
		if in[i].until < at.until {
			at = &in[i]
		}
	}
	return at, false
}

// grow doubles the shard without the empty buckets, and reports whether it could.
func (s *shard) grow(now time.Duration, b *limits.Budget) bool {
	n := len(s.sets)
	if n == mostSets || !b.Take(int64(n)*ways) {
		return false
	}
	sets := make([]set, 2*n)
	for i := range s.sets {
		old := &s.sets[i]
		var filled [2]int
		least := old[0].until
		for _, p := range old {
			least = min(least, p.until)
			if p.until > now && p.key != 0 {
				half := int(p.key / uint64(n) & 1)
				sets[i+half*n][filled[half]] = p
				filled[half]++
			}
		}
		if !s.evicted || least <= now {
			continue
		}
		for half := range filled { // what has lost its place in this set had no more in its bucket
			for j := filled[half]; j < ways; j++ {
				sets[i+half*n][j].until = least
			}
		}
	}
	s.sets = sets
	return true
}
