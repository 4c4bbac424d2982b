package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"rhumb"
)

// unserved adds up the connections and requests of a stack that the proxy could not serve, by service, since it began.
func unserved(st rhumb.RouterStatus, stack string) map[string]uint64 {
	counts := map[string]uint64{}
	for _, b := range st.Table.Backends {
		if s := st.Backends[b.Name]; b.Stack == stack && s.Lost() > 0 {
			counts[b.Service] += s.Lost()
		}
	}
	return counts
}

// tally returns what the proxy has counted of a stack, for a deployment that begins. Where the proxy can't be asked it is
// the zero Tally: then nothing is known of what the deployment costs.
func (c *Control) tally(ctx context.Context, stack string) rhumb.Tally {
	st, err := c.desk.Status(ctx)
	if err != nil {
		return rhumb.Tally{}
	}
	return rhumb.Tally{Proxy: st.Started, Unserved: unserved(st, stack)}
}

// since returns what a proxy has counted since a tally was taken. One that was started after that has counted from nothing.
func since(before rhumb.Tally, st rhumb.RouterStatus, stack string) map[string]uint64 {
	if before.Proxy.IsZero() {
		return nil
	}
	counts := unserved(st, stack)
	if st.Started.Equal(before.Proxy) {
		for service, n := range before.Unserved {
			counts[service] -= min(n, counts[service])
		}
	}
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n == 0 })
	if len(counts) == 0 {
		return nil
	}
	return counts
}

// tellUnserved tells of connections and requests that weren't served since the last time, at most once a minute.
func (r *runner) tellUnserved(ctx context.Context, g *goal, st rhumb.RouterStatus, now time.Time) {
	if r.counted.Proxy.IsZero() { // what the proxy counted before is no news
		r.counted = rhumb.Tally{Proxy: st.Started, Unserved: unserved(st, r.stack)}
	}
	lost := since(r.counted, st, r.stack)
	if len(lost) == 0 || now.Before(r.lostTold.Add(time.Minute)) {
		return
	}
	r.counted, r.lostTold = rhumb.Tally{Proxy: st.Started, Unserved: unserved(st, r.stack)}, now
	for _, service := range slices.Sorted(maps.Keys(lost)) {
		e := g.event(rhumb.Replica{Stack: r.stack, Service: service}, rhumb.EventWarning, rhumb.Unserved(service, lost[service]))
		r.c.events.Announce(ctx, e)
	}
}
