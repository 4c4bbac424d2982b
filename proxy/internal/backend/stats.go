package backend

import (
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
)

// releaseCounters counts what the replicas of one release served.
type releaseCounters struct {
	served, errors atomic.Uint64
	latency        atomic.Int64 // nanoseconds, summed
}

func (c *releaseCounters) stats() rhumb.ReleaseStats {
	return rhumb.ReleaseStats{Served: c.served.Load(), Errors: c.errors.Load(),
		Latency: time.Duration(c.latency.Load())}
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
