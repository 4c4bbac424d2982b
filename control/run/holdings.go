package run

import (
	"context"
	"sync"
	"time"

	"rhumb"
)

// holdings caches the networks and volumes of a stack. They change seldom and cost the engine more than its replicas,
// so they are listed again only after something may have changed them, or after LookEvery.
type holdings struct {
	mu      sync.Mutex
	last    rhumb.Holdings
	seen    time.Time // zero: not since they may have changed
	changes int       // how often they may have changed
}

// look returns the stack's networks and volumes.
func (h *holdings) look(
	ctx context.Context, stack string, list func(context.Context, string) (rhumb.Holdings, error),
) (rhumb.Holdings, error) {
	h.mu.Lock()
	last, seen, changes := h.last, h.seen, h.changes
	h.mu.Unlock()
	if time.Since(seen) < LookEvery {
		return last, nil
	}
	asked := time.Now()
	got, err := list(ctx, stack)
	if err != nil {
		return got, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changes == changes { // else the list may be older than the change
		h.last, h.seen = got, asked
	}
	return got, nil
}

// forget has the next look list them again.
func (h *holdings) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = time.Time{}
	h.changes++
}
