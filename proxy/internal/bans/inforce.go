package bans

import (
	"container/heap"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
)

// inForce is the bans in force, and what is remembered of those that have ended.
type inForce struct {
	index  index
	kernel Kernel                    // nil: nothing is dropped in the kernel
	cut    func(client netip.Prefix) // may be nil
	dirty  atomic.Bool               // there is something to write
	wake   chan struct{}             // has an element after dirty was set

	mu   sync.Mutex // guards ends and past, and changes of index; never held over I/O
	ends ends
	past past
}

func newInForce(k Kernel, cut func(netip.Prefix)) *inForce {
	f := &inForce{kernel: k, cut: cut, wake: make(chan struct{}, 1), past: past{}}
	f.index.init()
	return f
}

// changed has the book written soon.
func (f *inForce) changed() {
	f.dirty.Store(true)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// maxBans bounds the book. Of more bans, those that end first are dropped.
const maxBans = 250_000

// begin begins a ban in place of the one that its client may have, unless keep returns true of that one. It reports
// whether the ban has begun.
func (f *inForce) begin(ban rhumb.Ban, keep func(rhumb.Ban) bool) (rhumb.Ban, bool) {
	f.mu.Lock()
	now := time.Now()
	old := f.index.at(ban.Client)
	if old != nil && !old.ban.Ended(now) && keep != nil && keep(old.ban) {
		f.mu.Unlock()
		return old.ban, false
	}
	if old != nil {
		f.drop(old)
	}
	if ban.Times == 0 {
		ban.Times = f.past[ban.Client].Times + 1
	}
	e := &entry{ban: ban, until: nanos(ban.Until)}
	f.index.put(e)
	heap.Push(&f.ends, e)
	f.tellKernel(ban, true)
	if len(f.ends) > maxBans {
		first := f.ends[0]
		f.drop(first)
		f.tellKernel(first.ban, false)
	}
	f.mu.Unlock()
	f.changed()
	if f.cut != nil {
		f.cut(ban.Client)
	}
	return ban, true
}

// times returns how many bans of a client have ended, as far as is remembered.
func (f *inForce) times(client netip.Prefix, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.index.at(client); e != nil && e.ban.Ended(now) {
		f.drop(e)
		f.past.add(e.ban)
	}
	return f.past[client].Times
}

// end ends the bans that which chooses among those of a client and of all inside its range, and forgets earlier ones.
func (f *inForce) end(client netip.Prefix, which func(rhumb.Ban) bool) (ended []rhumb.Ban) {
	f.mu.Lock()
	var found []*entry
	if e := f.index.at(client); e != nil && which(e.ban) {
		found = append(found, e)
	}
	if !ofOne(client) {
		for _, e := range f.ends {
			if e.ban.Client != client && inside(e.ban.Client, client) && which(e.ban) {
				found = append(found, e)
			}
		}
	}
	for _, e := range found {
		f.drop(e)
		delete(f.past, e.ban.Client)
		ended = append(ended, e.view())
		f.tellKernel(e.ban, false)
	}
	f.mu.Unlock()
	if len(ended) > 0 {
		f.changed()
	}
	return ended
}

// endFor ends all bans that an address has, those of ranges too.
func (f *inForce) endFor(a netip.Addr) (ended []rhumb.Ban) {
	now := time.Now().UnixNano()
	for e := f.index.find(a, now); e != nil; e = f.index.find(a, now) {
		ended = append(ended, f.end(e.ban.Client, func(ban rhumb.Ban) bool { return ban.Client == e.ban.Client })...)
	}
	return ended
}

// drop removes an entry. The caller holds mu.
func (f *inForce) drop(e *entry) {
	f.index.drop(e)
	heap.Remove(&f.ends, e.place)
}

// tellKernel passes a ban on to the kernel, or its end. The caller holds mu, so that the kernel gets both in order.
func (f *inForce) tellKernel(ban rhumb.Ban, begins bool) {
	switch {
	case f.kernel == nil:
	case begins:
		f.kernel.Ban(ban.Client, ban.Until)
	default:
		f.kernel.Unban(ban.Client)
	}
}

// all returns all bans that haven't ended.
func (f *inForce) all() []rhumb.Ban {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]rhumb.Ban, 0, len(f.ends))
	for _, e := range f.ends {
		if !e.ban.Ended(now) {
			list = append(list, e.view())
		}
	}
	return list
}

// sweep removes the bans that have ended, and remembers them for a while. The kernel ends its own.
func (f *inForce) sweep(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.ends) > 0 && f.ends[0].until <= now.UnixNano() {
		e := f.ends[0]
		f.drop(e)
		f.past.add(e.ban)
		f.changed()
	}
	f.past.forget(now)
}
