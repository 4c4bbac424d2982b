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

// Book knows which address each service of a stack has in each network. An address is chosen once and kept, like
// the host ports that are chosen once.
type Book struct {
	store Store
	stack string

	mu    sync.Mutex
	pages map[string]page // by network; what was read or written once
}

// Store keeps what a book holds.
type Store interface {
	Setting(ctx context.Context, stack, key string) (string, error)
	SetSetting(ctx context.Context, stack, key, value string) error
}

// page is the book's page about a network. In another subnet everything is chosen anew.
type page struct {
	Subnet   netip.Prefix
	Services map[string]netip.Addr
}

// NewBook opens a stack's book.
func NewBook(store Store, stack string) *Book {
	return &Book{store: store, stack: stack, pages: map[string]page{}}
}

// addresses gives the services their addresses in a network; false if it has not enough for all of them. taken are
// addresses that somebody has there already.
func (b *Book) addresses(ctx context.Context, n rhumb.Bridge, services []string, taken map[netip.Addr]bool) (map[string]netip.Addr, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := b.page(ctx, n.Network)
	if err != nil {
		return nil, false, err
	}
	kept := page{Subnet: n.Subnet, Services: map[string]netip.Addr{}}
	used := maps.Clone(taken)
	if used == nil {
		used = map[netip.Addr]bool{}
	}
	if p.Subnet == n.Subnet {
		for _, name := range slices.Sorted(maps.Keys(p.Services)) {
			if a := p.Services[name]; usable(n, a) && !used[a] {
				kept.Services[name], used[a] = a, true
			}
		}
	}
	given := map[string]netip.Addr{}
	for _, name := range slices.Sorted(slices.Values(services)) {
		if !kept.Services[name].IsValid() {
			a := choose(n, name, used)
			if !a.IsValid() && kept.release(services, used) { // services that are gone have kept theirs in case they come back
				a = choose(n, name, used)
			}
			if !a.IsValid() {
				return nil, false, nil
			}
			kept.Services[name], used[a] = a, true
		}
		given[name] = kept.Services[name]
	}
	return given, true, b.keep(ctx, n.Network, p, kept)
}

// page reads what is kept about a network.
func (b *Book) page(ctx context.Context, network string) (page, error) {
	if p, ok := b.pages[network]; ok {
		return p, nil
	}
	text, err := b.store.Setting(ctx, b.stack, pageKey(network))
	if err != nil {
		return page{}, err
	}
	var p page
	if text != "" && json.Unmarshal([]byte(text), &p) != nil {
		p = page{} // unreadable: chosen anew
	}
	b.pages[network] = p
	return p, nil
}

func (b *Book) keep(ctx context.Context, network string, old, now page) error {
	if old.Subnet == now.Subnet && maps.Equal(old.Services, now.Services) {
		return nil
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := b.store.SetSetting(ctx, b.stack, pageKey(network), string(text)); err != nil {
		return err
	}
	b.pages[network] = now
	return nil
}

// pageKey is the stack's setting that holds the page about a network. It goes with the stack: nothing that knew the
// addresses outlives the stack's replicas, and the same names hash to the same addresses again.
func pageKey(network string) string { return "addresses/" + network }

// Forget makes the book read the store again, which has forgotten the stack.
func (b *Book) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.pages)
}

// release gives up the addresses of services other than these, and tells whether there were any.
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

// choose gives a service a free address. The first one tried depends on its name alone, so that a daemon that has
// lost its database mostly finds the same ones again.
func choose(n rhumb.Bridge, service string, used map[netip.Addr]bool) netip.Addr {
	h := fnv.New32a()
	h.Write([]byte(service))
	for a := range free(n, h.Sum32(), used) {
		return a
	}
	return netip.Addr{}
}

// room counts the addresses that a network has for services.
func room(n rhumb.Bridge, used map[netip.Addr]bool) (count int) {
	for range free(n, 0, used) {
		count++
	}
	return count
}

// free goes through the addresses for services that nobody has, from the one with this number.
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

// maxTried bounds the search in a large network: no stack has so many services.
const maxTried = 1 << 16

// usable tells whether a service may have the address: not the gateway's, nor the first or the last of the subnet.
func usable(n rhumb.Bridge, a netip.Addr) bool {
	first, last := n.Subnet.Masked().Addr(), lastOf(n.Subnet)
	return n.Addresses.Contains(a) && n.Subnet.Contains(a) && a != n.Gateway && a != first && a != last
}

// lastOf gives the last address of an IPv4 subnet, which is its broadcast address.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|uint32(uint64(1)<<(32-p.Bits())-1))
	return netip.AddrFrom4(b)
}
