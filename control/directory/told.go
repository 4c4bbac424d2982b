package directory

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Told knows which names each replica was given. After a restart of the daemon all of them are given once again.
type Told struct {
	mu    sync.Mutex
	given map[string]map[string]string // by replica ID
	next  time.Time                    // not before, after a failure
	busy  bool
}

// NewTold returns a Told that knows no replica.
func NewTold() *Told { return &Told{given: map[string]map[string]string{}} }

// Note notes which names a replica was given.
func (n *Told) Note(id string, names map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.given[id] = names
}

// Keep forgets the replicas that are not among these.
func (n *Told) Keep(here map[string]map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.given, func(id string, _ map[string]string) bool { _, ok := here[id]; return !ok })
}

// Stale returns the replicas whose names aren't the given ones. It returns none until
// Done is called for the last ones.
func (n *Told) Stale(want map[string]map[string]string, now time.Time) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy || now.Before(n.next) {
		return nil
	}
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if given, ok := n.given[id]; !ok || !maps.Equal(given, want[id]) {
			ids = append(ids, id)
		}
	}
	n.busy = len(ids) > 0
	return ids
}

// Done ends the work that Stale has begun. After a failure, the next begins no sooner than in two seconds.
func (n *Told) Done(failed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.busy = false
	if failed {
		n.next = time.Now().Add(2 * time.Second)
	}
}
