// Package routertest implements rhumb.Router in memory, for tests. It serves nothing; it records the tables.
package routertest

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Router acknowledges tables. Use New: the zero value doesn't work.
type Router struct {
	mu     sync.Mutex
	table  rhumb.Table
	open   map[string]int
	held   map[string]bool // addresses that another process holds
	refuse map[string]bool // networks whose segments can't be created
	reason string          // why there are no segments at all
	away   bool
	notify func(rhumb.Table)
}

// New returns a router with an empty table.
func New() *Router {
	return &Router{open: map[string]int{}, held: map[string]bool{}, refuse: map[string]bool{}}
}

func (r *Router) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// Open sets how many connections a replica has.
func (r *Router) Open(replica string, n int) { r.set(func() { r.open[replica] = n }) }

// Hold makes another process hold an address such as "[::]:80".
func (r *Router) Hold(addr string) { r.set(func() { r.held[addr] = true }) }

// Free makes an address available again.
func (r *Router) Free(addr string) { r.set(func() { delete(r.held, addr) }) }

// NoSegments makes all segments impossible on this machine, for a reason; "" makes them possible again.
func (r *Router) NoSegments(reason string) { r.set(func() { r.reason = reason }) }

// Refuse makes changes of a network's segment fail, or succeed again.
func (r *Router) Refuse(network string, refuse bool) { r.set(func() { r.refuse[network] = refuse }) }

// Away makes the router unreachable, or reachable again.
func (r *Router) Away(away bool) { r.set(func() { r.away = away }) }

// OnApply sets a function to call with each table just before it is acknowledged.
func (r *Router) OnApply(f func(rhumb.Table)) { r.set(func() { r.notify = f }) }

// Apply acknowledges a table, by the contract of rhumb.Router.
func (r *Router) Apply(_ context.Context, t rhumb.Table) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return unreachable()
	}
	if t.Version <= r.table.Version {
		return rhumb.Errorf(rhumb.Conflict, "table %d is not newer than %d", t.Version, r.table.Version)
	}
	if err := r.taken(t.Listeners); err != nil {
		return err
	}
	if err := r.made(t.Segments); err != nil {
		return err
	}
	if r.notify != nil {
		r.notify(t)
	}
	r.table = t
	return nil
}

// Status returns the acknowledged table.
func (r *Router) Status(context.Context) (rhumb.RouterStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return rhumb.RouterStatus{}, unreachable()
	}
	open := map[string]int{}
	for id, n := range r.open {
		open[id] = n
	}
	return rhumb.RouterStatus{Table: r.table, Open: open, Started: time.Unix(0, 0), NoSegments: r.reason}, nil
}

// Check reports a listener whose address is held by another process.
func (r *Router) Check(_ context.Context, ls []rhumb.Listener) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return unreachable()
	}
	return r.taken(ls)
}

// made reports a segment that can't be created. Unchanged segments don't matter.
func (r *Router) made(ss []rhumb.Segment) error {
	for _, s := range ss {
		same := slices.ContainsFunc(r.table.Segments, func(o rhumb.Segment) bool { return reflect.DeepEqual(o, s) })
		if !same && (r.reason != "" || r.refuse[s.Network]) {
			return rhumb.Errorf(rhumb.Unavailable, "network %s: its service addresses can't be made", s.Network)
		}
	}
	return nil
}

func (r *Router) taken(ls []rhumb.Listener) error {
	for _, l := range ls {
		if r.held[l.Addr.String()] {
			return rhumb.Errorf(rhumb.Conflict, "address %s is held by another process", l.Addr)
		}
	}
	return nil
}

func unreachable() error {
	return rhumb.Errorf(rhumb.Unavailable, "the proxy can't be reached")
}
