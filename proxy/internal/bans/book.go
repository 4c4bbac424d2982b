// Package bans keeps the proxy's book of bans: which clients are refused, for how long and why. It counts what matches
// the rules of the served table, and bans a client that has matched one too often.
package bans

import (
	"container/heap"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
)

// Kernel drops what banned clients send before it reaches the proxy. Its methods don't wait.
type Kernel interface {
	// Ban has the kernel drop what the client sends, until the time; zero: until Unban.
	Ban(client netip.Prefix, until time.Time)
	// Unban ends that.
	Unban(client netip.Prefix)
	// Supported returns why the kernel can't do it; "": it can.
	Supported() string
}

// Options configures a Book.
type Options struct {
	Dir     string         // the folder of bans.json; "": the bans are kept in memory only
	Trusted []netip.Prefix // proxies whose word about clients is believed: they are never banned
	Kernel  Kernel         // nil: nothing is dropped in the kernel
	// Shared reports whether a client's address stands for nearly all clients of a backend. Rules don't ban it. nil:
	// that isn't known of any.
	Shared func(backend string, client netip.Addr) bool
	Cut    func(client netip.Prefix) // ends what connections of the client can't be refused any more; may be nil
	Log    *slog.Logger              // nil: nothing is logged
}

// Book is the book of bans. It is safe for concurrent use. A nil Book bans no client.
type Book struct {
	options Options
	log     *slog.Logger
	index   index
	counts  counts
	rules   atomic.Pointer[ruleset] // nil: there are none
	spared  spared
	news    *news
	file    *file
	refused atomic.Uint64

	mu   sync.Mutex // guards ends and past, and changes of index; never held over I/O
	ends ends
	past past
}

// New returns a book without bans. Load reads those on disk, and Run keeps the book.
func New(o Options) *Book {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Book{options: o, log: o.Log, past: past{}, news: newNews(), file: newFile(o.Dir, o.Log)}
	b.index.init()
	b.counts.init()
	b.spared.init(o.Trusted)
	return b
}

// Any reports whether any client is banned.
func (b *Book) Any() bool { return b != nil && b.index.active.Load() > 0 }

// Refuses reports whether a client is banned, and counts what is refused then. reference is what to show it.
func (b *Book) Refuses(client netip.Addr) (reference string, yes bool) {
	if !b.Any() {
		return "", false
	}
	e := b.index.find(client, time.Now().UnixNano())
	if e == nil {
		return "", false
	}
	e.refused.Add(1)
	b.refused.Add(1)
	return e.ban.Reference, true
}

// Status returns how the bans go.
func (b *Book) Status() rhumb.BanStatus {
	st := rhumb.BanStatus{Active: int(b.index.active.Load()), Refused: b.refused.Load()}
	if st.NoKernel = "this proxy doesn't use it"; b.options.Kernel != nil {
		st.NoKernel = b.options.Kernel.Supported()
	}
	return st
}

// maxBans bounds the book. Of more bans, those that end first are dropped.
const maxBans = 250_000

// begin begins a ban in place of the one that its client may have, unless keep returns true of that one. It reports
// whether the ban has begun.
func (b *Book) begin(ban rhumb.Ban, keep func(rhumb.Ban) bool) (rhumb.Ban, bool) {
	b.mu.Lock()
	now := time.Now()
	old := b.index.at(ban.Client)
	if old != nil && !old.ban.Ended(now) && keep != nil && keep(old.ban) {
		b.mu.Unlock()
		return old.ban, false
	}
	if old != nil {
		b.drop(old)
	}
	if ban.Times == 0 {
		ban.Times = b.past[ban.Client].Times + 1
	}
	e := &entry{ban: ban, until: nanos(ban.Until)}
	b.index.put(e)
	heap.Push(&b.ends, e)
	b.tellKernel(ban, true)
	if len(b.ends) > maxBans {
		first := b.ends[0]
		b.drop(first)
		b.tellKernel(first.ban, false)
	}
	b.mu.Unlock()
	b.file.changed()
	if b.options.Cut != nil {
		b.options.Cut(ban.Client)
	}
	return ban, true
}

// times returns how many bans of a client have ended, as far as is remembered.
func (b *Book) times(client netip.Prefix, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.index.at(client); e != nil && e.ban.Ended(now) {
		b.drop(e)
		b.past.add(e.ban)
	}
	return b.past[client].Times
}

// end ends the bans that which chooses among those of a client and of all inside its range, and forgets earlier ones.
func (b *Book) end(client netip.Prefix, which func(rhumb.Ban) bool) (ended []rhumb.Ban) {
	b.mu.Lock()
	var found []*entry
	if e := b.index.at(client); e != nil && which(e.ban) {
		found = append(found, e)
	}
	if !ofOne(client) {
		for _, e := range b.ends {
			if e.ban.Client != client && inside(e.ban.Client, client) && which(e.ban) {
				found = append(found, e)
			}
		}
	}
	for _, e := range found {
		b.drop(e)
		delete(b.past, e.ban.Client)
		ended = append(ended, e.view())
		b.tellKernel(e.ban, false)
	}
	b.mu.Unlock()
	if len(ended) > 0 {
		b.file.changed()
	}
	return ended
}

// drop removes an entry. The caller holds mu.
func (b *Book) drop(e *entry) {
	b.index.drop(e)
	heap.Remove(&b.ends, e.place)
}

// tellKernel passes a ban on to the kernel, or its end. The caller holds mu, so that the kernel gets both in order.
func (b *Book) tellKernel(ban rhumb.Ban, begins bool) {
	switch {
	case b.options.Kernel == nil:
	case begins:
		b.options.Kernel.Ban(ban.Client, ban.Until)
	default:
		b.options.Kernel.Unban(ban.Client)
	}
}

// all returns all bans that haven't ended.
func (b *Book) all() []rhumb.Ban {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]rhumb.Ban, 0, len(b.ends))
	for _, e := range b.ends {
		if !e.ban.Ended(now) {
			list = append(list, e.view())
		}
	}
	return list
}

// sweep removes the bans that have ended, and remembers them for a while. The kernel ends its own.
func (b *Book) sweep(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.ends) > 0 && b.ends[0].until <= now.UnixNano() {
		e := b.ends[0]
		b.drop(e)
		b.past.add(e.ban)
		b.file.changed()
	}
	b.past.forget(now)
}
