package metrics

import (
	"context"
	"sync/atomic"

	"rhumb"
)

// turns lets a few callers read at once, and others wait.
type turns struct {
	free    chan struct{}
	waiting *atomic.Int64
}

func newTurns() turns { return turns{make(chan struct{}, maxQueries), new(atomic.Int64)} }

// take calls f when it is the caller's turn, with a context that ends after queryTimeout. Unavailable: too many wait.
// Timeout, Cancelled: ctx ended before.
func (t turns) take(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if t.waiting.Add(1) > maxWaiting {
		t.waiting.Add(-1)
		return rhumb.Errorf(rhumb.Unavailable, "too many queries wait").WithHint("try again later")
	}
	select {
	case t.free <- struct{}{}:
		t.waiting.Add(-1)
		defer func() { <-t.free }()
	case <-ctx.Done():
		t.waiting.Add(-1)
		return explain(ctx, ctx.Err())
	}
	return guarded(func() error { return f(ctx) })
}
