// Package routerfake is a rhumb.Router in memory, for tests: it serves nothing, and says what it would serve.
package routerfake

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Router acknowledges tables. The zero value is not used; see New.
type Router struct {
	mu     sync.Mutex
	table  rhumb.Table
	open   map[string]int
	held   map[string]bool // addresses that somebody else holds
	refuse map[string]bool // networks whose segments can't be made
	reason string          // why there are no segments at all
	away   bool
	notify func(rhumb.Table)
}

// New makes a router that serves an empty table.
func New() *Router {
	return &Router{open: map[string]int{}, held: map[string]bool{}, refuse: map[string]bool{}}
}

// Open sets how many connections a replica has.
func (r *Router) Open(replica string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[replica] = n
}

// Hold has somebody else hold an address such as "[::]:80".
func (r *Router) Hold(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[addr] = true
}

// Free has nobody else hold the address any more.
func (r *Router) Free(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, addr)
}

// NoSegments has the machine be one without service addresses, for the reason; "": it can have them, as from the
// beginning.
func (r *Router) NoSegments(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = reason
}

// Refuse has the segment of a network's name be one that can't be made when it changes, or that can.
func (r *Router) Refuse(network string, refuse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse[network] = refuse
}

// Away makes the router unreachable, or reachable again.
func (r *Router) Away(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// OnApply has f called with each table that is acknowledged, before it is.
func (r *Router) OnApply(f func(rhumb.Table)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notify = f
}

// Apply acknowledges a table by the contract of rhumb.Router.
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

// Status tells the acknowledged table.
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

// Check tells whether the addresses are free.
func (r *Router) Check(_ context.Context, ls []rhumb.Listener) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return unreachable()
	}
	return r.taken(ls)
}

// made tells whether the segments can be made. Those that stay as they were don't stand in the way.
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
