// Package hooks runs the hooks of single replicas inside them, and knows which replicas' post_start hooks have
// completed.
package hooks

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Store keeps a stack's completed post_start hooks.
type Store interface {
	Setting(ctx context.Context, stack, key string) (string, error)
	SetSetting(ctx context.Context, stack, key, value string) error
}

// doneKey is the stack's setting in which completed post_start hooks are kept. After a restart of the daemon, a replica
// whose hooks were cut off must not count as ready.
const doneKey = "post_start"

// Completed reads when the post_start hooks of a stack's replicas had completed, by replica ID.
func Completed(ctx context.Context, store Store, log *slog.Logger, stack string) (map[string]time.Time, error) {
	text, err := store.Setting(ctx, stack, doneKey)
	if err != nil {
		return nil, err
	}
	done := map[string]time.Time{}
	if text != "" && json.Unmarshal([]byte(text), &done) != nil {
		log.Warn("can't read completed post_start hooks, running them again", "stack", stack)
	}
	return done, nil
}

// Done knows which replicas of one stack have completed their post_start hooks.
type Done struct {
	store Store
	log   *slog.Logger
	stack string

	writing chan struct{} // one place: held while the setting is written
	mu      sync.Mutex
	known   map[string]time.Time // nil: not read yet
}

// NewDone returns the Done of a stack.
func NewDone(store Store, log *slog.Logger, stack string) *Done {
	return &Done{store: store, log: log, stack: stack, writing: make(chan struct{}, 1)}
}

// Completed returns when the replicas' post_start hooks had completed, by replica ID. The store is read once.
func (d *Done) Completed(ctx context.Context) (map[string]time.Time, error) {
	d.mu.Lock()
	known := maps.Clone(d.known)
	d.mu.Unlock()
	if known != nil {
		return known, nil
	}
	read, err := Completed(ctx, d.store, d.log, d.stack)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = read
	}
	return maps.Clone(d.known), nil
}

// Forget has the store read again, which has forgotten the stack.
func (d *Done) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}

// Complete records that a replica's post_start hooks have completed, and forgets replicas that are gone. It lists the
// replicas itself: the look with which the hooks began may be older than a replica whose hooks completed sooner.
func (d *Done) Complete(
	ctx context.Context, id string, list func(context.Context, string) ([]rhumb.Replica, error),
) error {
	select {
	case d.writing <- struct{}{}:
		defer func() { <-d.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	known, err := d.Completed(ctx)
	if err != nil {
		return err
	}
	replicas, listErr := list(ctx, d.stack)
	maps.DeleteFunc(known, func(old string, _ time.Time) bool {
		return listErr == nil && !slices.ContainsFunc(replicas, func(rep rhumb.Replica) bool { return rep.ID == old })
	})
	known[id] = time.Now()
	text, err := json.Marshal(known)
	if err == nil {
		err = d.store.SetSetting(ctx, d.stack, doneKey, string(text))
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = known
	return nil
}
