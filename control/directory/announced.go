package directory

import (
	"maps"
	"sync"
)

// Announced records which names each replica has in its hosts file. It starts empty, so a daemon that has restarted
// announces all names once more. It is safe for use by several goroutines.
type Announced struct {
	mu    sync.Mutex
	names map[string]map[string]string // by replica ID: addresses by name
}

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

// Stale returns which replicas don't have the wanted names.
func (a *Announced) Stale(want map[string]map[string]string) map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	stale := map[string]bool{}
	for id := range want {
		if names, ok := a.names[id]; !ok || !maps.Equal(names, want[id]) {
			stale[id] = true
		}
	}
	return stale
}
