package web

import (
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/inbound"
)

// watch notices that a client leaves while its exchange is under way and nothing is read from it. It looks at the
// socket now and then, so that a short exchange costs nothing.
//
// A client that ends its side looks like a client that has left. But a client that ends its side after its last
// request ("nc -N") still waits for the answer. So it counts as gone only after half of ProgressTime. This costs no
// more than a client that stays.
type watch struct {
	c     *conversation
	since atomic.Int64 // Unix nanoseconds: when the exchange began; 0: there is none
	armed atomic.Bool  // the timer runs
	timer *time.Timer

	of    int64     // only look uses it: the exchange that it saw last
	ended time.Time // since when that client may have ended its side; zero: it hasn't
}

// How long an exchange lasts before its client is looked at, and the most time between two looks.
const (
	firstLook = 100 * time.Millisecond
	rareLook  = 2 * time.Second
)

// begin watches an exchange that begins now.
func (w *watch) begin(now time.Time) {
	w.since.Store(now.UnixNano())
	w.arm()
}

// rest ends the watch of an exchange.
func (w *watch) rest() { w.since.Store(0) }

func (w *watch) arm() {
	if !w.armed.Load() && w.armed.CompareAndSwap(false, true) {
		w.timer.Reset(firstLook)
	}
}

// make makes the timer.
func (w *watch) make() {
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
}

// end ends the watch of the conversation. It returns false if a look may be under way.
func (w *watch) end() bool {
	w.rest()
	if w.armed.Load() {
		if !w.timer.Stop() {
			return false
		}
		w.armed.Swap(false) // not Store, which would not see what look has written
	}
	return true
}

// look looks at the client, and cuts the conversation if it has left.
func (w *watch) look() {
	since := w.since.Load()
	if since == 0 {
		w.armed.Store(false)
		if w.since.Load() != 0 {
			w.arm() // an exchange has begun at this very moment, and found the timer running
		}
		return
	}
	now := time.Now()
	waited := now.Sub(time.Unix(0, since))
	if waited < firstLook {
		w.again(firstLook - waited)
		return
	}
	if since != w.of {
		w.of, w.ended = since, time.Time{}
	}
	next := max(firstLook, min(rareLook, waited/4))
	ended, dead := inbound.Left(w.c.conn)
	switch {
	case dead:
		w.c.leave()
		return
	case ended:
		if w.ended.IsZero() {
			w.ended = now.Add(-firstLook)
		}
		left := w.c.server.deps.Limits.ProgressTime/2 - now.Sub(w.ended)
		if left <= 0 {
			w.c.leave()
			return
		}
		next = min(next, left)
	}
	w.again(next)
}

// again looks again after a time. What this look has written is then seen by the next one, and by those of a
// conversation that has stopped the timer and is used again: armed orders them.
func (w *watch) again(after time.Duration) {
	w.armed.Store(true)
	w.timer.Reset(after)
}
