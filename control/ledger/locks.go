package ledger

import (
	"context"
	"sync"
)

// locks has a lock for each stack, while it is in use.
type locks struct {
	mu   sync.Mutex
	used map[string]*lock
}

type lock struct {
	place chan struct{} // holds one value while the lock is held
	users int           // that hold it or wait for it
}

// Lock keeps deployments of a stack from being opened until unlock is called. It waits until the lock is free, or
// returns the error of ctx.
func (l *Ledger) Lock(ctx context.Context, stack string) (unlock func(), err error) {
	k := l.begins.use(stack)
	select {
	case k.place <- struct{}{}:
		return func() { <-k.place; l.begins.leave(stack, k) }, nil
	case <-ctx.Done():
		l.begins.leave(stack, k)
		return nil, ctx.Err()
	}
}

func (b *locks) use(stack string) *lock {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.used[stack]
	if k == nil {
		k = &lock{place: make(chan struct{}, 1)}
		b.used[stack] = k
	}
	k.users++
	return k
}

func (b *locks) leave(stack string, k *lock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(b.used, stack)
	}
}
