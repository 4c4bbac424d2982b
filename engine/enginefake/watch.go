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

// watches are the callers that wait for changes of replicas.
type watches struct{ *state }

// Watch reports changes until ctx ends or the engine goes away.
func (ws *watches) Watch(ctx context.Context) (<-chan rhumb.Change, error) {
	if err := ws.enter(ctx, "Watch"); err != nil {
		return nil, err
	}
	defer ws.mu.Unlock()
	w := &watcher{out: make(chan rhumb.Change), wake: make(chan struct{}, 1), gone: make(chan struct{}), seen: ws.now()}
	ws.watchers[w] = true
	go ws.pass(ctx, w)
	return w.out, nil
}

// pass hands changes over. It ends with ctx or when the engine goes away, and says so by closing the channel.
func (ws *watches) pass(ctx context.Context, w *watcher) {
	defer close(w.out)
	defer ws.forget(w)
	for {
		first, some, wait := ws.look(w)
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
			ws.taken(w)
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// look returns the first pending change, or how long to wait for the next change by the clock.
func (ws *watches) look(w *watcher) (rhumb.Change, bool, time.Duration) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now, wait := ws.now(), time.Hour
	for _, r := range ws.replicas {
		at := r.next(w.seen)
		if !at.IsZero() && !at.After(now) {
			if !ws.lossy {
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

func (ws *watches) taken(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.news = w.news[1:]
}

func (ws *watches) forget(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.watchers, w)
}
