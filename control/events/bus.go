// Package events stores events and passes them to those who follow.
package events

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"rhumb"
)

// Bus stores events and passes them to those who follow.
type Bus struct {
	store Store
	log   *slog.Logger

	mu   sync.Mutex
	subs map[chan rhumb.Event]bool
}

// Store keeps events, and gives each its ID.
type Store interface {
	Append(ctx context.Context, e rhumb.Event) (rhumb.Event, error)
	Events(ctx context.Context, f rhumb.EventFilter) ([]rhumb.Event, error)
}

// backlog is how far a follower may lag behind before it misses live events and has to read the store again.
const backlog = 256

// New makes a Bus.
func New(store Store, log *slog.Logger) *Bus {
	return &Bus{store: store, log: log, subs: map[chan rhumb.Event]bool{}}
}

// Tell stores an event, logs it and passes it on. Pull progress is only passed on.
func (b *Bus) Tell(ctx context.Context, e rhumb.Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock() // IDs reach the followers in their order
	if e.Kind != rhumb.EventPull {
		stored, err := b.store.Append(context.WithoutCancel(ctx), e)
		if err != nil {
			b.log.Error("event not stored", "kind", e.Kind, "stack", e.Stack, "err", err)
		} else {
			e = stored
		}
		b.log.Info(string(e.Kind), "stack", e.Stack, "deployment", e.Deployment, "replica", e.Replica, "phase", e.Phase, "text", e.Text)
	}
	for sub := range b.subs {
		select {
		case sub <- e:
		default: // it lags: it is told so by the closed channel, and reads the store
			delete(b.subs, sub)
			close(sub)
		}
	}
}

func (b *Bus) join() chan rhumb.Event {
	sub := make(chan rhumb.Event, backlog)
	b.mu.Lock()
	b.subs[sub] = true
	b.mu.Unlock()
	return sub
}

func (b *Bus) leave(sub chan rhumb.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs[sub] {
		delete(b.subs, sub)
		close(sub)
	}
}

// Events lists stored events, oldest first, and with Follow those that come.
func (b *Bus) Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(yield func(rhumb.Event, error) bool) {
		for {
			lagged, err := b.replay(ctx, &f, func(e rhumb.Event) bool { return yield(e, nil) })
			if err != nil {
				yield(rhumb.Event{}, err)
			}
			if !lagged {
				return
			}
		}
	}
}

// replay gives what is stored after f.After and then, if asked, what comes. It reports true if it lagged behind and
// must be called again; f.After then says from where.
func (b *Bus) replay(ctx context.Context, f *rhumb.EventFilter, yield func(rhumb.Event) bool) (lagged bool, err error) {
	var live chan rhumb.Event
	if f.Follow {
		live = b.join()
		defer b.leave(live)
	}
	stored, err := b.store.Events(ctx, *f)
	if err != nil {
		return false, err
	}
	f.Limit = 0
	for _, e := range stored {
		f.After = e.ID
		if !yield(e) {
			return false, nil
		}
	}
	for f.Follow {
		select {
		case <-ctx.Done():
			return false, nil
		case e, ok := <-live:
			if !ok {
				return true, nil
			}
			if e.ID != 0 && e.ID <= f.After || !matches(*f, e) {
				continue
			}
			f.After = max(f.After, e.ID)
			if !yield(e) {
				return false, nil
			}
		}
	}
	return false, nil
}

func matches(f rhumb.EventFilter, e rhumb.Event) bool {
	return (f.Stack == "" || f.Stack == e.Stack) && (f.Deployment == 0 || f.Deployment == e.Deployment)
}
