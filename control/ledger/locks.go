package ledger

import "sync"

// locks has a lock for each stack, while it is in use.
type locks struct {
	mu   sync.Mutex
	used map[string]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// Lock keeps deployments of a stack from being opened until unlock is called.
func (l *Ledger) Lock(stack string) (unlock func()) {
	b := &l.begins
	b.mu.Lock()
	k := b.used[stack]
	if k == nil {
		k = &lock{}
		b.used[stack] = k
	}
	k.users++
	b.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		b.mu.Lock()
		defer b.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(b.used, stack)
		}
	}
}
