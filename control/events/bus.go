// Package events stores events and announces them to followers.
package events

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"rhumb"
)

// Bus stores events and announces them to followers. Stored events reach a follower through the store: an announcement
// wakes the follower, which then reads what it has not seen yet. So a follower receives each stored event once and in
// the order of IDs, in whichever order the events are announced and however far the follower lags behind. Unstored
// events may overtake stored ones that a lagging follower has yet to read.
type Bus struct {
	store Store
	log   *slog.Logger

	mu        sync.Mutex // never held while the store works
	followers map[*follower]bool
}

// Store keeps events. IDs become visible in ascending order: once Events has returned an event, no event with a lesser
// ID can be added.
type Store interface {
	// Append stores an event and returns it with its ID.
	Append(ctx context.Context, e rhumb.Event) (rhumb.Event, error)
	// Events returns the stored events that match f, oldest first. It ignores f.Follow.
	Events(ctx context.Context, f rhumb.EventFilter) ([]rhumb.Event, error)
}

// backlog is how many unstored events wait for a follower. Further ones are dropped.
const backlog = 256

// follower is a reader that waits for events.
type follower struct {
	filter rhumb.EventFilter

	stored   chan struct{}    // one place: the store has events that the follower may not have read
	unstored chan rhumb.Event // events that are not in the store
}

// New returns a Bus without followers.
func New(store Store, log *slog.Logger) *Bus {
	return &Bus{store: store, log: log, followers: map[*follower]bool{}}
}

// Announce stores an event, logs it and passes it to its followers. Pull progress is only passed on.
// The events of one caller keep their order; the bus waits for the store without holding up other callers.
func (b *Bus) Announce(ctx context.Context, e rhumb.Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	stored := false
	if e.Kind != rhumb.EventPull {
		kept, err := b.store.Append(context.WithoutCancel(ctx), e)
		if stored = err == nil; stored {
			e = kept
		} else {
			b.log.Error("event not stored", "kind", e.Kind, "stack", e.Stack, "err", err)
		}
		b.log.Info(string(e.Kind), "stack", e.Stack, "deployment", e.Deployment, "replica", e.Replica,
			"phase", e.Phase, "text", e.Text)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.followers {
		switch {
		case !matches(f.filter, e):
		case stored:
			select {
			case f.stored <- struct{}{}:
			default: // the follower is about to read, and will find this event
			}
		default:
			select {
			case f.unstored <- e:
			default: // the follower lags, and nothing keeps the event for it
			}
		}
	}
}

func (b *Bus) join(f rhumb.EventFilter) *follower {
	w := &follower{filter: f, stored: make(chan struct{}, 1), unstored: make(chan rhumb.Event, backlog)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.followers[w] = true
	return w
}

func (b *Bus) leave(w *follower) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.followers, w)
}

// Events returns the stored events that match f, oldest first, and with Follow those that come until ctx ends.
func (b *Bus) Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(yield func(rhumb.Event, error) bool) {
		f := f
		pass := func(e rhumb.Event) bool { return yield(e, nil) }
		if !f.Follow {
			b.replay(ctx, &f, yield)
			return
		}
		w := b.join(f) // before the first read, so that no event falls between that and the first announcement
		defer b.leave(w)
		for b.replay(ctx, &f, yield) && w.wait(ctx, pass) {
		}
	}
}

// replay passes on the stored events that match f, and sets f to what comes after them. It reports whether the reader
// wants more.
func (b *Bus) replay(ctx context.Context, f *rhumb.EventFilter, yield func(rhumb.Event, error) bool) bool {
	stored, err := b.store.Events(ctx, *f)
	if err != nil {
		if !f.Follow || ctx.Err() == nil { // a follower ends without an error when ctx does
			yield(rhumb.Event{}, err)
		}
		return false
	}
	f.Limit = 0
	for _, e := range stored {
		f.After, f.Since = e.ID, time.Time{} // from here on the ID decides, even if the clock is set back
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// wait passes on unstored events until there are new stored ones. It reports whether the reader wants more: false once
// ctx has ended.
func (w *follower) wait(ctx context.Context, pass func(rhumb.Event) bool) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case e := <-w.unstored:
			if !pass(e) {
				return false
			}
		case <-w.stored:
			return w.drain(pass)
		}
	}
}

// drain passes on the unstored events that wait. They were announced before the stored one that woke the follower, or
// at the same time.
func (w *follower) drain(pass func(rhumb.Event) bool) bool {
	for {
		select {
		case e := <-w.unstored:
			if !pass(e) {
				return false
			}
		default:
			return true
		}
	}
}

func matches(f rhumb.EventFilter, e rhumb.Event) bool {
	return (f.Stack == "" || f.Stack == e.Stack) && (f.Deployment == 0 || f.Deployment == e.Deployment)
}
