package backend

import (
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/flow"
)

// releaseCounters counts what the replicas of one release got. A request changes it four times, which takes some 40 ns
// when all CPUs do that at once (BenchmarkCount): counters for each CPU would save little.
type releaseCounters struct {
	served, failed, refused atomic.Uint64 // refused: answers with a status of 500 and more
	latency                 atomic.Int64  // nanoseconds, summed
	buckets                 [len(rhumb.LatencyBuckets) + 1]atomic.Uint64
	bytes                   flow.Bytes
}

// answer counts an answer in its bucket.
func (c *releaseCounters) answer(status int, took time.Duration) {
	c.serve(took)
	i := 0
	for i < len(rhumb.LatencyBuckets) && took > rhumb.LatencyBuckets[i] {
		i++
	}
	c.buckets[i].Add(1)
	if status >= 500 {
		c.refused.Add(1)
	}
}

func (c *releaseCounters) serve(took time.Duration) {
	c.served.Add(1)
	c.latency.Add(int64(took))
}

// stats reads what is a part of something else first, which may be counted meanwhile.
func (c *releaseCounters) stats() rhumb.ReleaseStats {
	s := rhumb.ReleaseStats{Failed: c.failed.Load()}
	s.Errors = s.Failed + c.refused.Load()
	var answers uint64
	var buckets [len(rhumb.LatencyBuckets) + 1]uint64
	for i := range buckets {
		buckets[i] = c.buckets[i].Load()
		answers += buckets[i]
	}
	if answers > 0 {
		s.Buckets = buckets[:]
	}
	s.Latency = time.Duration(c.latency.Load())
	s.Received, s.Sent = c.bytes.Received.Load(), c.bytes.Sent.Load()
	s.Served = c.served.Load()
	return s
}

// keptReleases is how many releases without endpoints a backend remembers the counts of.
const keptReleases = 10

// counters belong to a backend's name. They outlive the tables while the backend is in them.
type counters struct {
	held, unserved, cut atomic.Uint64
	waiting             atomic.Int64 // now
	since               atomic.Int64 // Unix nanoseconds: when the first of those that wait came

	mu       sync.Mutex
	releases map[int]*releaseCounters
}

// release returns the counters of one release.
func (c *counters) release(n int) *releaseCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.releases[n]
	if r == nil {
		r = &releaseCounters{}
		if c.releases == nil {
			c.releases = map[int]*releaseCounters{}
		}
		c.releases[n] = r
	}
	return r
}

// prune forgets the lowest releases that are not in use, until at most keptReleases of them are left.
func (c *counters) prune(inUse map[int]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.releases) > len(inUse)+keptReleases {
		lowest, found := 0, false
		for n := range c.releases {
			if !inUse[n] && (!found || n < lowest) {
				lowest, found = n, true
			}
		}
		if !found {
			return
		}
		delete(c.releases, lowest)
	}
}

func (c *counters) stats() rhumb.BackendStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := rhumb.BackendStats{Releases: make(map[int]rhumb.ReleaseStats, len(c.releases)),
		Held: c.held.Load(), Unserved: c.unserved.Load(), Cut: c.cut.Load()}
	if n := c.waiting.Load(); n > 0 {
		s.Waiting, s.WaitingSince = int(n), time.Unix(0, c.since.Load())
	}
	for n, r := range c.releases {
		s.Releases[n] = r.stats()
	}
	return s
}
