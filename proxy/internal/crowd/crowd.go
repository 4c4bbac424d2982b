// Package crowd notices that nearly all clients of a route seem to come from one address, because something stands
// between them and the proxy: a balancer, a content network, or a bridge. What is done to a client by its address would
// then be done to all of them.
package crowd

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Watch watches the clients of one route. The zero value is ready to use. It costs 2 KB.
//
// It counts clients that differ in their address, their browser or their language, in an hour. Each sets one bit of
// many, and counts for its source if it was the first to set it. Only a source that may stand for others is of
// interest: a private address, or a content network. If it has nearly all, it is shared.
//
// A client behind a shared source can pretend to be many. It can so make its own address count as shared, and no other.
type Watch struct {
	seen [words]atomic.Uint64

	mu      sync.Mutex
	begun   time.Time      // of the hour
	all     int            // bits that are set
	sources map[string]int // of those, by source; at most mostSources

	shared atomic.Pointer[source] // nil: none is
}

const (
	words       = 256
	seenBits    = words * 64
	full        = seenBits * 3 / 4 // from then on the bits say too little
	fewest      = 20               // clients in an hour from which on they say something
	mostSources = 16
	hour        = time.Hour
)

var seed = maphash.MakeSeed()

// See notes a client.
func (w *Watch) See(addr netip.Addr, browser, language string, now time.Time) {
	b := addr.Unmap().As16()
	at := maphash.Bytes(seed, b[:]) ^ bits.RotateLeft64(maphash.String(seed, browser), 17) ^
		bits.RotateLeft64(maphash.String(seed, language), 34)
	at %= seenBits
	word, bit := &w.seen[at/64], uint64(1)<<(at%64)
	if word.Load()&bit != 0 {
		return // which is the common case
	}
	w.note(addr, word, bit, now)
}

// note counts a client whose bit isn't set yet.
func (w *Watch) note(addr netip.Addr, word *atomic.Uint64, bit uint64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.begun) >= hour {
		for i := range w.seen {
			w.seen[i].Store(0)
		}
		w.begun, w.all, w.sources = now, 0, map[string]int{}
	}
	if word.Load()&bit != 0 || w.all >= full {
		return
	}
	word.Store(word.Load() | bit)
	w.all++
	from := sourceOf(addr)
	if _, known := w.sources[from.name]; from.name != "" && (known || len(w.sources) < mostSources) {
		w.sources[from.name]++
	}
	w.judge(from)
}

// judge decides whether a source is shared, after a client of it was counted. What was decided in the hour before holds
// until there are enough clients to tell.
func (w *Watch) judge(from source) {
	if w.all < fewest {
		return
	}
	if is := w.shared.Load(); is != nil && w.sources[is.name]*10 < w.all*8 {
		w.shared.Store(nil)
	}
	if from.name != "" && w.sources[from.name]*10 >= w.all*9 {
		w.shared.Store(&from)
	}
}

// Shared reports whether an address belongs to the source from which nearly all clients come.
func (w *Watch) Shared(addr netip.Addr) bool {
	s := w.shared.Load()
	return s != nil && s.has(addr.Unmap())
}

// Source returns the source from which nearly all clients come, in words: "172.17.0.1", "Cloudflare"; "": there is
// none.
func (w *Watch) Source() string {
	if s := w.shared.Load(); s != nil {
		return s.name
	}
	return ""
}
