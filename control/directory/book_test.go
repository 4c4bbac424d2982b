package directory

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"testing"

	"rhumb"
)

// settings is a Store in memory.
type settings struct {
	kept   map[string]string
	writes int
}

func (s *settings) Setting(_ context.Context, stack, key string) (string, error) {
	return s.kept[stack+" "+key], nil
}

func (s *settings) SetSetting(_ context.Context, stack, key, value string) error {
	s.kept[stack+" "+key], s.writes = value, s.writes+1
	return nil
}

func newSettings() *settings { return &settings{kept: map[string]string{}} }

// bridge returns a network with a pool of addresses for services.
func bridge(subnet, addresses string) rhumb.Bridge {
	p := netip.MustParsePrefix(subnet)
	pool := netip.MustParsePrefix(addresses)
	return rhumb.Bridge{Network: "shop_default", Subnet: p, Gateway: p.Addr().Next(), Addresses: pool}
}

// addressesOf has a book propose addresses of services in a network, and keep them; nil: the network has too few. taken
// are the addresses of replicas.
func addressesOf(
	t *testing.T, b *Book, n rhumb.Bridge, taken map[netip.Addr]bool, services ...string,
) map[string]netip.Addr {
	t.Helper()
	m := &rhumb.Stack{Name: "shop"}
	for _, name := range services {
		m.Services = append(m.Services, on(name, in(n.Network)))
	}
	var replicas []rhumb.Replica
	for a := range taken {
		replicas = append(replicas, rhumb.Replica{Addrs: map[string]netip.Addr{n.Network: a}})
	}
	p, err := b.Propose(t.Context(), View{Bridges: []rhumb.Bridge{n}, Wanted: m, Replicas: replicas})
	if err == nil {
		err = b.Keep(t.Context(), p)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Segments) == 0 {
		return nil
	}
	addrs := map[string]netip.Addr{}
	for _, a := range p.Segments[0].Services {
		addrs[a.Service] = a.Addr
	}
	return addrs
}

func TestAnAddressIsChosenOnceAndKept(t *testing.T) {
	s, n := newSettings(), bridge("172.18.0.0/16", "172.18.128.0/17")
	first := addressesOf(t, NewBook(s, "shop"), n, nil, "api", "db", "web")
	more := addressesOf(t, NewBook(s, "shop"), n, nil, "api", "cache", "db", "web")
	if delete(more, "cache"); !maps.Equal(more, first) {
		t.Errorf("first %v, with one more %v", first, more)
	}
	writes := s.writes
	again := addressesOf(t, NewBook(s, "shop"), n, nil, "api", "db", "web")
	if !maps.Equal(again, first) || s.writes != writes {
		t.Errorf("first %v, again %v, %d writes", first, again, s.writes-writes)
	}
	if lost := addressesOf(t, NewBook(newSettings(), "shop"), n, nil, "web", "db", "api"); !maps.Equal(lost, first) {
		t.Errorf("first %v, with another database %v", first, lost)
	}
	moved := addressesOf(t, NewBook(s, "shop"), bridge("10.9.0.0/24", "10.9.0.128/25"), nil, "api", "db", "web")
	for name, a := range moved {
		if !netip.MustParsePrefix("10.9.0.128/25").Contains(a) {
			t.Errorf("%s has %s in another subnet", name, a)
		}
	}
}

func TestAnAddressBelongsToOneService(t *testing.T) {
	n := bridge("10.9.0.0/28", "10.9.0.0/28") // all of it, with the ends and the gateway
	taken := map[netip.Addr]bool{netip.MustParseAddr("10.9.0.5"): true}
	var services []string
	for i := range 12 { // 16 without the two ends, the gateway and the taken one
		services = append(services, fmt.Sprintf("s%d", i))
	}
	b := NewBook(newSettings(), "shop")
	seen := map[netip.Addr]string{}
	for name, a := range addressesOf(t, b, n, taken, services...) {
		if a == n.Gateway || a == n.Subnet.Addr() || a == lastOf(n.Subnet) || taken[a] || seen[a] != "" {
			t.Errorf("%s has %s, as has %q", name, a, seen[a])
		}
		seen[a] = name
	}
	if len(seen) != 12 {
		t.Errorf("%d services have an address", len(seen))
	}
	if got := addressesOf(t, b, n, taken, append(services, "more")...); got != nil {
		t.Errorf("in a full network: %v", got)
	}
	services[3] = "heir" // it gets the address kept for s3, because no other is left
	if got := addressesOf(t, b, n, taken, services...); len(got) != 12 {
		t.Errorf("one service replaced another: %v", got)
	}
	taken[addressesOf(t, b, n, taken, "s1")["s1"]] = true
	if got := addressesOf(t, b, n, taken, "s1")["s1"]; taken[got] {
		t.Errorf("a replica has %s too", got)
	}
}

func FuzzChosenAddressesAreUsable(f *testing.F) {
	f.Add("api", byte(16), byte(17), uint32(0xac120000))
	f.Add("db", byte(30), byte(31), uint32(0x0a000000))
	f.Fuzz(func(t *testing.T, name string, bits, of byte, base uint32) {
		bits, of = bits%33, of%33
		first := netip.AddrFrom4([4]byte{byte(base >> 24), byte(base >> 16), byte(base >> 8), byte(base)})
		subnet := netip.PrefixFrom(first, int(bits)).Masked()
		pool := netip.PrefixFrom(subnet.Addr(), int(max(bits, of)))
		n := rhumb.Bridge{Subnet: subnet, Gateway: subnet.Addr().Next(), Addresses: pool}
		a := choose(n, name, nil)
		if a.IsValid() && (!subnet.Contains(a) || a == n.Gateway || a == subnet.Addr() || a == lastOf(subnet)) {
			t.Errorf("%s in %s", a, subnet)
		}
	})
}

func TestANetworkHasRoomForAsManyServicesAsItSays(t *testing.T) {
	n := bridge("10.9.0.0/28", "10.9.0.8/29")
	taken := map[netip.Addr]bool{netip.MustParseAddr("10.9.0.9"): true}
	if room(n, taken) != 6 { // without the broadcast address
		t.Errorf("room for %d services", room(n, taken))
	}
	var services []string
	for i := range 8 {
		services = append(services, fmt.Sprint("s", i))
		got := addressesOf(t, NewBook(newSettings(), "shop"), n, taken, services...)
		if (got != nil) != (len(services) <= 6) {
			t.Errorf("%d services: %v", len(services), got)
		}
	}
}

func TestAForgottenBookIsWrittenAgain(t *testing.T) {
	s, n := newSettings(), bridge("172.18.0.0/16", "172.18.128.0/17")
	b := NewBook(s, "shop")
	first := addressesOf(t, b, n, nil, "api", "web")
	clear(s.kept) // as when the stack is removed
	b.Forget()
	if again := addressesOf(t, b, n, nil, "api", "web"); !maps.Equal(again, first) || len(s.kept) != 1 {
		t.Errorf("first %v, again %v; %d pages are kept", first, again, len(s.kept))
	}
}

func TestAProposalIsRepeatedUntilItIsKept(t *testing.T) {
	s, n := newSettings(), bridge("172.18.0.0/16", "172.18.128.0/17")
	b, m := NewBook(s, "shop"), &rhumb.Stack{Services: []rhumb.Service{on("web", in(n.Network))}}
	var last Proposal
	for range 3 {
		p, err := b.Propose(t.Context(), View{Bridges: []rhumb.Bridge{n}, Wanted: m})
		if err != nil {
			t.Fatal(err)
		}
		if p.Kept() || last.Segments != nil && !reflect.DeepEqual(p, last) {
			t.Errorf("kept %t: %+v after %+v", p.Kept(), p, last)
		}
		last = p
	}
	if s.writes > 0 {
		t.Errorf("proposals were written %d times", s.writes)
	}
	if err := b.Keep(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	p, err := b.Propose(t.Context(), View{Bridges: []rhumb.Bridge{n}, Wanted: m})
	if err != nil || !p.Kept() || s.writes != 1 {
		t.Errorf("kept %t after %d writes: %v", p.Kept(), s.writes, err)
	}
}

// slowSettings are settings whose reads wait until they may go on.
type slowSettings struct {
	*settings
	reads, proceed chan struct{}
}

func (s slowSettings) Setting(ctx context.Context, stack, key string) (string, error) {
	text, err := s.settings.Setting(ctx, stack, key)
	s.reads <- struct{}{}
	<-s.proceed
	return text, err
}

func TestABookThatReadsAPageCanBeForgotten(t *testing.T) {
	kept, n := newSettings(), bridge("172.18.0.0/16", "172.18.128.0/17")
	first := addressesOf(t, NewBook(kept, "shop"), n, nil, "web")
	slow := slowSettings{kept, make(chan struct{}), make(chan struct{})}
	b := NewBook(slow, "shop")
	done := make(chan error)
	go func() {
		_, err := b.page(t.Context(), n.Network)
		done <- err
	}()
	<-slow.reads
	clear(kept.kept) // as when the stack is removed
	b.Forget()       // it doesn't wait for the store
	close(slow.proceed)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	go func() { <-slow.reads }()
	if again := addressesOf(t, b, n, nil, "web"); !maps.Equal(again, first) || len(kept.kept) != 1 {
		t.Errorf("first %v, again %v; %d pages are kept", first, again, len(kept.kept))
	}
}
