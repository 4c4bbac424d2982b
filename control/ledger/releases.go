package ledger

import (
	"context"
	"slices"
	"sync"

	"rhumb"
)

// releases are those that were read from the store. A release never changes, so each is read once.
type releases struct {
	mu    sync.Mutex
	known map[releaseKey]*rhumb.Release
}

type releaseKey struct {
	stack  string
	number int
}

// Release returns a release with its model; NotFound if it isn't kept. Callers must not change it.
func (l *Ledger) Release(ctx context.Context, stack string, number int) (*rhumb.Release, error) {
	key := releaseKey{stack, number}
	l.releases.mu.Lock()
	r := l.releases.known[key]
	l.releases.mu.Unlock()
	if r != nil {
		return r, nil
	}
	got, err := l.Store.Release(ctx, stack, number)
	if err != nil {
		return nil, err
	}
	got.Specs = got.Model.Specs() // as this daemon hashes them, which may not be how the release's maker did
	l.releases.mu.Lock()
	defer l.releases.mu.Unlock()
	l.releases.known[key] = &got
	return &got, nil
}

// Current returns the release that serves; nil if none does.
func (l *Ledger) Current(ctx context.Context, stack string) (*rhumb.Release, error) {
	state, err := l.Store.StackState(ctx, stack)
	if err != nil || state.Current == 0 {
		return nil, err
	}
	return l.Release(ctx, stack, state.Current)
}

// Forget drops the stack's releases from memory, except the given numbers.
func (l *Ledger) Forget(stack string, except ...int) {
	l.releases.mu.Lock()
	defer l.releases.mu.Unlock()
	for key := range l.releases.known {
		if key.stack == stack && !slices.Contains(except, key.number) {
			delete(l.releases.known, key)
		}
	}
}
