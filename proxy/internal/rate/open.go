package rate

import "sync"

// Open counts what is under way, by key. It has only keys of which something is, so what bounds those bounds it.
type Open struct{ shards [1 << shardBits]openShard }

type openShard struct {
	mu    sync.Mutex
	count map[uint64]int32
}

// Enter counts one more of a key, unless there are that many already. It reports whether it did.
func (o *Open) Enter(key uint64, most int) bool {
	s := o.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(s.count[key]) >= most {
		return false
	}
	if s.count == nil {
		s.count = map[uint64]int32{}
	}
	s.count[key]++
	return true
}

// Leave takes back what Enter has counted.
func (o *Open) Leave(key uint64) {
	s := o.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[key]--; s.count[key] == 0 {
		delete(s.count, key)
	}
}

func (o *Open) shard(key uint64) *openShard { return &o.shards[key>>(64-shardBits)] }
