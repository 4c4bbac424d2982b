package directory

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Announced records which names each replica has in its hosts file. It starts empty, so a daemon that has restarted
// announces all names once more. It is safe for use by several goroutines.
type Announced struct {
	mu    sync.Mutex
	names map[string]map[string]string // by replica ID: addresses by name
	next  time.Time                    // Stale returns nothing before, after a failure
	busy  bool                         // the replicas that Stale returned are being updated
}

// retryAfter is how long to wait after names could not be announced.
const retryAfter = 2 * time.Second

// NewAnnounced returns an Announced without records.
func NewAnnounced() *Announced { return &Announced{names: map[string]map[string]string{}} }

// Record records the names that a replica now has.
func (a *Announced) Record(id string, names map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names[id] = names
}

// Keep drops the records of replicas that are not among these.
func (a *Announced) Keep(here map[string]map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.names, func(id string, _ map[string]string) bool { _, ok := here[id]; return !ok })
}

// Stale returns the replicas that don't have the wanted names, sorted. The caller updates them and then calls Done;
// until then, and for a moment after a failure, Stale returns none.
func (a *Announced) Stale(want map[string]map[string]string, now time.Time) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy || now.Before(a.next) {
		return nil
	}
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if names, ok := a.names[id]; !ok || !maps.Equal(names, want[id]) {
			ids = append(ids, id)
		}
	}
	a.busy = len(ids) > 0
	return ids
}

// Done ends the update of the replicas that Stale returned.
func (a *Announced) Done(failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = false
	if failed {
		a.next = time.Now().Add(retryAfter)
	}
}
