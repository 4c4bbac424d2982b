package act

import (
	"context"
	"time"

	"rhumb"
)

// routeFiles stores the files of a stack's routes where the proxy finds them.
type routeFiles struct {
	store func(ctx context.Context, hash string, content []byte) error // nil: there are none
	kept  map[string]time.Time                                         // when each was stored, by hash
}

// keepTime is how long a stored file stays at least, although no table names it.
const keepTime = 30 * time.Minute

// keep stores the files of a model's routes: each once in the life of the daemon, and again if no table has named it
// for a while.
func (f *routeFiles) keep(ctx context.Context, m *rhumb.Stack, served rhumb.Table) error {
	if m == nil || f.store == nil {
		return nil
	}
	named := map[string]bool{} // by the served table
	for i := range served.Options {
		for _, file := range served.Options[i].Files() {
			named[file.Hash] = true
		}
	}
	kept := map[string]time.Time{}
	for _, file := range m.RouteFiles() {
		at, ok := f.kept[file.Hash]
		if !ok || !named[file.Hash] && time.Since(at) > keepTime {
			if err := f.store(ctx, file.Hash, file.Content); err != nil {
				return err
			}
			at = time.Now()
		}
		kept[file.Hash] = at
	}
	f.kept = kept
	return nil
}
