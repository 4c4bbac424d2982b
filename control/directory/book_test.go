package directory

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"rhumb"
)

// settings are kept in memory.
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

// bridge is a network of a subnet whose upper half is for services.
func bridge(subnet, addresses string) rhumb.Bridge {
	p := netip.MustParsePrefix(subnet)
	return rhumb.Bridge{Network: "shop_default", Subnet: p, Gateway: p.Addr().Next(), Addresses: netip.MustParsePrefix(addresses)}
}

func addressesOf(t *testing.T, b *Book, n rhumb.Bridge, taken map[netip.Addr]bool, services ...string) map[string]netip.Addr {
	t.Helper()
	got, ok, err := b.addresses(t.Context(), n, services, taken)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return nil
	}
	return got
}

func TestAnAddressIsChosenOnceAndKept(t *testing.T) {
	s, n := newSettings(), bridge("172.18.0.0/16", "172.18.128.0/17")
	first := addressesOf(t, NewBook(s, "shop"), n, nil, "api", "db", "web")
	if more := addressesOf(t, NewBook(s, "shop"), n, nil, "api", "cache", "db", "web"); more["api"] != first["api"] || more["db"] != first["db"] || more["web"] != first["web"] {
		t.Errorf("first %v, with one more %v", first, more)
	}
	writes := s.writes
	if again := addressesOf(t, NewBook(s, "shop"), n, nil, "api", "db", "web"); !maps.Equal(again, first) || s.writes != writes {
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

func TestAnAddressIsNobodyElses(t *testing.T) {
	n := bridge("10.9.0.0/28", "10.9.0.0/28") // all of it, so that the ends and the gateway are in it
	taken := map[netip.Addr]bool{netip.MustParseAddr("10.9.0.5"): true}
	var services []string
	for i := range 12 { // 16, without the two ends, the gateway and the one taken
		services = append(services, fmt.Sprintf("s%d", i))
	}
	b := NewBook(newSettings(), "shop")
	seen := map[netip.Addr]string{}
	for name, a := range addressesOf(t, b, n, taken, services...) {
		if a == n.Gateway || a == n.Subnet.Addr() || a == netip.MustParseAddr("10.9.0.15") || taken[a] || seen[a] != "" {
			t.Errorf("%s has %s, as has %q", name, a, seen[a])
		}
		seen[a] = name
	}
	if len(seen) != 12 {
		t.Errorf("%d have one", len(seen))
	}
	if got := addressesOf(t, b, n, taken, append(services, "more")...); got != nil {
		t.Errorf("there is no room, but %v", got)
	}
	services[3] = "heir" // what s3 has kept goes to somebody else only now that there is no room
	if got := addressesOf(t, b, n, taken, services...); len(got) != 12 {
		t.Errorf("one went and one came: %v", got)
	}
	taken[addressesOf(t, b, n, taken, "s1")["s1"]] = true
	if got := addressesOf(t, b, n, taken, "s1")["s1"]; taken[got] {
		t.Errorf("%s has become another's", got)
	}
}

func FuzzChosenAddressesAreUsable(f *testing.F) {
	f.Add("api", byte(16), byte(17), uint32(0xac120000))
	f.Add("db", byte(30), byte(31), uint32(0x0a000000))
	f.Fuzz(func(t *testing.T, name string, bits, of byte, base uint32) {
		bits, of = bits%33, of%33
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(base >> 24), byte(base >> 16), byte(base >> 8), byte(base)}), int(bits)).Masked()
		n := rhumb.Bridge{Subnet: subnet, Gateway: subnet.Addr().Next(), Addresses: netip.PrefixFrom(subnet.Addr(), int(max(bits, of)))}
		a := choose(n, name, nil)
		if a.IsValid() && (!subnet.Contains(a) || a == n.Gateway || a == subnet.Addr() || a == lastOf(subnet)) {
			t.Errorf("%s in %s", a, subnet)
		}
	})
}

func TestARoomIsCountedAsItIsGivenOut(t *testing.T) {
	n := bridge("10.9.0.0/28", "10.9.0.8/29")
	taken := map[netip.Addr]bool{netip.MustParseAddr("10.9.0.9"): true}
	if room(n, taken) != 6 { // without the broadcast address
		t.Errorf("room for %d", room(n, taken))
	}
	var services []string
	for i := range 8 {
		services = append(services, fmt.Sprint("s", i))
		if got := addressesOf(t, NewBook(newSettings(), "shop"), n, taken, services...); (got != nil) != (len(services) <= 6) {
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
