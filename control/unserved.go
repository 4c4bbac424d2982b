package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/ledger"
	"rhumb/control/scene"
)

// tellUnserved tells of connections and requests that weren't served since the last time, at most once a minute.
func (r *runner) tellUnserved(ctx context.Context, g *scene.Scene, now time.Time) {
	st := g.Router
	if r.counted.Proxy.IsZero() { // what the proxy counted before is no news
		r.counted = ledger.Tally(st, r.stack)
	}
	lost := ledger.Since(r.counted, st, r.stack)
	if len(lost) == 0 || now.Before(r.lostTold.Add(time.Minute)) {
		return
	}
	r.counted, r.lostTold = ledger.Tally(st, r.stack), now
	for _, service := range slices.Sorted(maps.Keys(lost)) {
		e := g.Event(rhumb.Replica{Stack: r.stack, Service: service}, rhumb.EventWarning, rhumb.Unserved(service, lost[service]))
		r.c.events.Tell(ctx, e)
	}
}
