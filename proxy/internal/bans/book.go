// Package bans keeps the proxy's book of bans: which clients are refused, for how long and why. It counts what matches
// the rules of the served table, and bans a client that has matched one too often.
package bans

import (
	"log/slog"
	"net/netip"
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
	Dir     string                    // the folder of bans.json; "": the bans are kept in memory only
	Trusted []netip.Prefix            // proxies whose word about clients is believed: they are never banned
	Kernel  Kernel                    // nil: nothing is dropped in the kernel
	Cut     func(client netip.Prefix) // ends what connections of the client can't be refused any more; may be nil
	Log     *slog.Logger              // nil: nothing is logged
}

// Book is the book of bans. It is safe for concurrent use. A nil Book bans no client.
type Book struct {
	options Options
	log     *slog.Logger
	inForce *inForce
	counts  counts
	rules   atomic.Pointer[ruleset] // nil: there are none
	spared  *spared
	news    *news
	file    *file
	refused atomic.Uint64
}

// New returns a book without bans. Load reads those on disk, and Run keeps the book.
func New(o Options) *Book {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Book{options: o, log: o.Log, spared: newSpared(o.Trusted), news: newNews()}
	b.inForce = newInForce(o.Kernel, o.Cut)
	b.file = newFile(o.Dir, b.inForce, b.spared, o.Log)
	b.counts.init()
	return b
}

// Any reports whether any client is banned.
func (b *Book) Any() bool { return b != nil && b.inForce.index.active.Load() > 0 }

// Refuses reports whether a client is banned, and counts what is refused then. reference is what to show it.
func (b *Book) Refuses(client netip.Addr) (reference string, yes bool) {
	if !b.Any() {
		return "", false
	}
	e := b.inForce.index.find(client, time.Now().UnixNano())
	if e == nil {
		return "", false
	}
	e.refused.Add(1)
	b.refused.Add(1)
	return e.ban.Reference, true
}

// Status returns how the bans go.
func (b *Book) Status() rhumb.BanStatus {
	st := rhumb.BanStatus{Active: int(b.inForce.index.active.Load()), Refused: b.refused.Load()}
	if st.NoKernel = "this proxy doesn't use it"; b.options.Kernel != nil {
		st.NoKernel = b.options.Kernel.Supported()
	}
	return st
}
