package enginefake

import (
	"context"
	"slices"
	"time"

	"rhumb"
)

// watcher is one call of Watch.
type watcher struct {
	out  chan rhumb.Change
	wake chan struct{}  // one place: there is news
	gone chan struct{}  // closed when the engine goes away
	news []rhumb.Change // guarded by the engine's lock
	seen time.Time      // changes by the clock up to this time have been reported
	left bool
}

func (w *watcher) leave() {
	if !w.left {
		w.left = true
		close(w.gone)
	}
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// add takes a change in, unless it waits already.
func (w *watcher) add(c rhumb.Change) {
	if !slices.Contains(w.news, c) {
		w.news = append(w.news, c)
	}
}

// Watch reports changes until ctx ends or the engine goes away.
func (e *Engine) Watch(ctx context.Context) (<-chan rhumb.Change, error) {
	if err := e.enter(ctx, "Watch"); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	w := &watcher{out: make(chan rhumb.Change), wake: make(chan struct{}, 1), gone: make(chan struct{}), seen: e.now()}
	e.watchers[w] = true
	go e.pass(ctx, w)
	return w.out, nil
}

// pass hands changes over. It ends with ctx or when the engine goes away, and says so by closing the channel.
func (e *Engine) pass(ctx context.Context, w *watcher) {
	defer close(w.out)
	defer e.forget(w)
	for {
		first, some, wait := e.look(w)
		var out chan<- rhumb.Change
		if some {
			out = w.out
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.gone:
			timer.Stop()
			return
		case out <- first:
			e.taken(w)
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// look returns the first pending change, or how long to wait for the next change by the clock.
func (e *Engine) look(w *watcher) (rhumb.Change, bool, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, wait := e.now(), time.Hour
	for _, r := range e.replicas {
		at := r.next(w.seen)
		if !at.IsZero() && !at.After(now) {
			if !e.lossy {
				w.add(rhumb.Change{Stack: r.base.Stack, Replica: r.base.ID})
			}
			at = r.next(now)
		}
		if !at.IsZero() {
			wait = min(wait, at.Sub(now))
		}
	}
	w.seen = now
	if len(w.news) == 0 {
		return rhumb.Change{}, false, wait
	}
	return w.news[0], true, wait
}

func (e *Engine) taken(w *watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.news = w.news[1:]
}

func (e *Engine) forget(w *watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, w)
}

// tell notes that a replica has changed.
func (e *Engine) tell(r *replica) { e.note(rhumb.Change{Stack: r.base.Stack, Replica: r.base.ID}) }

// note notes a change for everybody who watches.
func (e *Engine) note(c rhumb.Change) {
	if e.lossy {
		return
	}
	for w := range e.watchers {
		w.add(c)
	}
	e.wake()
}

// wake wakes everybody who waits.
func (e *Engine) wake() {
	for w := range e.watchers {
		w.poke()
	}
	close(e.changed)
	e.changed = make(chan struct{})
}
