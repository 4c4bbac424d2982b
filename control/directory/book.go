package directory

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"rhumb"
)

// Book keeps the address of each service of a stack in each network. An address is chosen once and kept for later
// releases, as host ports are. It is safe for use by several goroutines.
type Book struct {
	store Store
	stack string

	mu      sync.Mutex // not held while the store reads or writes
	pages   map[string]page
	forgets int // how often pages was cleared
}

// Store keeps the pages of books.
type Store interface {
	Setting(ctx context.Context, stack, key string) (string, error)
	SetSetting(ctx context.Context, stack, key, value string) error
}

// page has the addresses of one network: of services, and of other networks whose segments have a leg into it. If the
// network's subnet changes, all of them are chosen again. A page in a book never changes: it is replaced.
type page struct {
	Subnet   netip.Prefix
	Services map[string]netip.Addr
}

// NewBook returns a stack's book. It reads a page when that is first needed.
func NewBook(store Store, stack string) *Book {
	return &Book{store: store, stack: stack, pages: map[string]page{}}
}

// with returns the page on which each of these services has an address, and keeps those that the page has already. ok
// is false if the network has too few addresses. taken are the addresses that replicas have.
func (p page) with(n rhumb.Bridge, services []string, taken map[netip.Addr]bool) (now page, ok bool) {
	used := maps.Clone(taken)
	if used == nil {
		used = map[netip.Addr]bool{}
	}
	now = p.remaining(n, used)
	for _, name := range slices.Sorted(slices.Values(services)) {
		if now.Services[name].IsValid() {
			continue
		}
		a := choose(n, name, used)
		if !a.IsValid() && now.release(services, used) { // services that are gone kept theirs in case they return
			a = choose(n, name, used)
		}
		if !a.IsValid() {
			return page{}, false
		}
		now.Services[name], used[a] = a, true
	}
	return now, true
}

func (p page) equal(other page) bool {
	return p.Subnet == other.Subnet && maps.Equal(p.Services, other.Services)
}

// remaining returns the page with those of its addresses that the network still has and nothing uses. It adds them to
// used.
func (p page) remaining(n rhumb.Bridge, used map[netip.Addr]bool) page {
	kept := page{Subnet: n.Subnet, Services: map[string]netip.Addr{}}
	if p.Subnet != n.Subnet {
		return kept
	}
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		if a := p.Services[name]; usable(n, a) && !used[a] {
			kept.Services[name], used[a] = a, true
		}
	}
	return kept
}

// page returns the page of a network, empty if there is none.
func (b *Book) page(ctx context.Context, network string) (page, error) {
	b.mu.Lock()
	p, ok := b.pages[network]
	forgets := b.forgets
	b.mu.Unlock()
	if ok {
		return p, nil
	}
	text, err := b.store.Setting(ctx, b.stack, pageKey(network))
	if err != nil {
		return page{}, err
	}
	if text != "" && json.Unmarshal([]byte(text), &p) != nil {
		p = page{} // unreadable: all addresses are chosen again
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forgets == forgets { // else the store may have removed it since
		b.pages[network] = p
	}
	return p, nil
}

// Keep stores the addresses of a proposal that aren't kept yet.
func (b *Book) Keep(ctx context.Context, p Proposal) error {
	for _, network := range slices.Sorted(maps.Keys(p.fresh)) {
		text, err := json.Marshal(p.fresh[network])
		if err != nil {
			return err
		}
		if err := b.store.SetSetting(ctx, b.stack, pageKey(network), string(text)); err != nil {
			return err
		}
		b.mu.Lock()
		b.pages[network] = p.fresh[network]
		b.mu.Unlock()
	}
	return nil
}

// pageKey is the setting that keeps the page of a network. The store removes it with the stack: nothing that knows the
// addresses outlives the stack's replicas, and the same names mostly get the same addresses again.
func pageKey(network string) string { return "addresses/" + network }

// Forget drops all pages from memory, after the store has removed the stack's settings.
func (b *Book) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.pages)
	b.forgets++
}

// release removes the addresses of services other than these. It reports whether there were any.
func (p *page) release(services []string, used map[netip.Addr]bool) bool {
	before := len(p.Services)
	maps.DeleteFunc(p.Services, func(name string, a netip.Addr) bool {
		if slices.Contains(services, name) {
			return false
		}
		delete(used, a)
		return true
	})
	return len(p.Services) < before
}

// choose returns a free address for a service; the zero Addr: there is none. The first candidate depends only on the
// name of the service, so that a daemon that has lost its database mostly chooses the same addresses again.
func choose(n rhumb.Bridge, service string, used map[netip.Addr]bool) netip.Addr {
	h := fnv.New32a()
	h.Write([]byte(service))
	for a := range free(n, h.Sum32(), used) {
		return a
	}
	return netip.Addr{}
}

// room returns how many free addresses a network has for services.
func room(n rhumb.Bridge, used map[netip.Addr]bool) (count int) {
	for range free(n, 0, used) {
		count++
	}
	return count
}

// free returns the free addresses for services, beginning with the address at index from and wrapping around.
func free(n rhumb.Bridge, from uint32, used map[netip.Addr]bool) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		pool := n.Addresses.Masked()
		if !pool.IsValid() || !pool.Addr().Is4() {
			return
		}
		base := pool.Addr().As4()
		first, size := binary.BigEndian.Uint32(base[:]), uint64(1)<<(32-pool.Bits())
		for i := range min(size, maxTried) {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], first+uint32((uint64(from)+i)%size))
			if a := netip.AddrFrom4(b); usable(n, a) && !used[a] && !yield(a) {
				return
			}
		}
	}
}

// maxTried bounds the search in a large network. No stack has that many services.
const maxTried = 1 << 16

// usable reports whether a service may have the address. The gateway's and the subnet's first and last are excluded.
func usable(n rhumb.Bridge, a netip.Addr) bool {
	first, last := n.Subnet.Masked().Addr(), lastOf(n.Subnet)
	return n.Addresses.Contains(a) && n.Subnet.Contains(a) && a != n.Gateway && a != first && a != last
}

// lastOf returns the last address of an IPv4 subnet, which is its broadcast address.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|uint32(uint64(1)<<(32-p.Bits())-1))
	return netip.AddrFrom4(b)
}
