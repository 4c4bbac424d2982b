package control

import "sync"

// locks holds a lock per stack while it is in use.
type locks struct {
	mu   sync.Mutex
	used map[string]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// lock locks a stack's lock. unlock must be called.
func (l *locks) lock(stack string) (unlock func()) {
	l.mu.Lock()
	if l.used == nil {
		l.used = map[string]*lock{}
	}
	k := l.used[stack]
	if k == nil {
		k = &lock{}
		l.used[stack] = k
	}
	k.users++
	l.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.used, stack)
		}
	}
}
