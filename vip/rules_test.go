package vip

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"rhumb"
)

// services returns random services for a seed.
func services(rng *rand.Rand) []rhumb.ServiceAddress {
	var ss []rhumb.ServiceAddress
	for i := range rng.IntN(6) {
		s := rhumb.ServiceAddress{Addr: netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})}
		for j := range rng.IntN(5) {
			s.Endpoints = append(s.Endpoints, rhumb.Endpoint{Replica: string(rune('a' + j)), Draining: rng.IntN(2) == 0,
				Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(8))}), 0)})
		}
		if rng.IntN(2) == 0 {
			s.Gap = time.Unix(rng.Int64N(4e9), 0)
		}
		ss = append(ss, s)
	}
	return ss
}

func FuzzEachServiceAddressIsSpreadOrRefusedAndDrainingReplicasGetNothing(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		ss := services(rand.New(rand.NewPCG(seed, 0)))
		r := rulesOf(rhumb.Segment{Services: ss})
		if !r.equal(rulesOf(rhumb.Segment{Services: ss})) {
			t.Error("the same services have different rules")
		}
		for _, s := range ss {
			var to []netip.Addr
			for _, sp := range r.spread {
				if sp.addr == s.Addr {
					to = append(to, sp.to...)
				}
			}
			refused := slices.Contains(r.refused, s.Addr)
			if refused == (len(to) > 0) {
				t.Fatalf("seed %d: %s is refused: %v, and routed to %v", seed, s.Addr, refused, to)
			}
			for _, e := range s.Endpoints {
				if !e.Draining && !slices.Contains(to, e.Addr.Addr()) {
					t.Errorf("seed %d: %s: active %s gets nothing", seed, s.Addr, e.Addr)
				}
			}
			for _, a := range to {
				if !slices.ContainsFunc(s.Endpoints, func(e rhumb.Endpoint) bool {
					return !e.Draining &&
						e.Addr.Addr() == a
				}) {
					t.Errorf("seed %d: %s is routed to %s, which isn't active", seed, s.Addr, a)
				}
			}
			waits := slices.ContainsFunc(r.gaps, func(g gap) bool { return g.addr == s.Addr && g.until.Equal(s.Gap) })
			if want := refused && !s.Gap.IsZero(); waits != want {
				t.Errorf("seed %d: %s has a gap: %v, want %v", seed, s.Addr, waits, want)
			}
		}
	})
}

func TestNamesAndMACsAreFixedAndDiffer(t *testing.T) {
	if a, b := macOf("a").String(), macOf("b").String(); a == b || a != "0a:"+portMAC("a").String()[3:] {
		t.Errorf("MACs %s and %s aren't the networks' own", a, b)
	}
	for _, m := range []byte{macOf("a")[0], portMAC("a")[0]} {
		if m&1 != 0 || m&2 == 0 {
			t.Errorf("%#x begins no locally administered address of one station", m)
		}
	}
	if n := linkName("i", "network"); len(n) > 15 || n == linkName("j", "network") {
		t.Errorf("link %q", n)
	}
	if InstanceOf("/a/b/../b") != InstanceOf("/a/b") || InstanceOf("/a/b") == InstanceOf("/a/c") {
		t.Error("an instance isn't its folder's")
	}
}

func TestMomentsBeyondNanosecondsAreTheNearest(t *testing.T) {
	for at, want := range map[time.Time]uint64{
		time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC): 0,
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): 1<<63 - 1,
		time.Unix(5, 7): 5_000_000_007,
	} {
		if got := nanos(at); got != want {
			t.Errorf("%v: %d, want %d", at, got, want)
		}
	}
}

func TestConnectionsAreCheckedOnlyIfAnEndpointGotWorse(t *testing.T) {
	// to returns a service whose n-th endpoint is active (a), drains (d), or doesn't exist (a space).
	to := func(stand string) standings {
		s := rhumb.ServiceAddress{Addr: netip.MustParseAddr("10.0.1.1")}
		for i, c := range stand {
			if c != ' ' {
				s.Endpoints = append(s.Endpoints, rhumb.Endpoint{Replica: string(rune('p' + i)), Draining: c == 'd',
					Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 2)}), 0)})
			}
		}
		return flowsOf(rhumb.Segment{Services: []rhumb.ServiceAddress{s}}).services
	}
	for _, c := range []struct {
		name     string
		old, now standings
		want     bool
	}{
		{"the first", to(""), to("a"), false},
		{"one more", to("a"), to("aa"), false},
		{"nothing new", to("ad"), to("ad"), false},
		{"one drains", to("aa"), to("ad"), true},
		{"one drains no more", to("ad"), to("aa"), false},
		{"one less", to("aa"), to(" a"), true},
		{"the last one", to("a"), to(""), true},
		{"one that drained is gone", to("ad"), to("a"), true},
		{"the service went", to(""), standings{}, true},
		{"another service", standings{}, to("a"), false},
		{"nothing", nil, standings{}, false},
	} {
		if got := c.now.worseThan(c.old); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
