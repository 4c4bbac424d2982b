package networks

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/network"

	"rhumb"
)

func TestTheRoomInASubnet(t *testing.T) {
	pre, addr := netip.MustParsePrefix, netip.MustParseAddr
	for _, c := range []struct {
		name    string
		pool    network.IPAMConfig
		room    bool
		ipRange string // "": as written
		gateway string
		free    string
	}{
		{"a usual one", network.IPAMConfig{Subnet: pre("10.1.2.0/24")}, true, "10.1.2.0/25", "10.1.2.1", "10.1.2.128/25"},
		{"not on its first address", network.IPAMConfig{Subnet: pre("10.1.2.9/24")}, true, "10.1.2.0/25", "10.1.2.1",
			"10.1.2.128/25"},
		{"the smallest", network.IPAMConfig{Subnet: pre("10.1.2.32/27")}, true, "10.1.2.32/28", "10.1.2.33", "10.1.2.48/28"},
		{"too small", network.IPAMConfig{Subnet: pre("10.1.2.32/28")}, false, "", "10.1.2.33", ""},
		{"its gateway in the upper half", network.IPAMConfig{Subnet: pre("10.1.2.0/24"), Gateway: addr("10.1.2.254")}, true,
			"10.1.2.0/25", "10.1.2.254", "10.1.2.128/26"},
		{"its gateway in the upper half of the smallest", network.IPAMConfig{Subnet: pre("10.1.2.0/27"),
			Gateway: addr("10.1.2.16")}, true, "10.1.2.0/28", "10.1.2.16", "10.1.2.24/29"},
		{"an upper half full of others", network.IPAMConfig{Subnet: pre("10.1.2.0/27"),
			AuxAddress: map[string]netip.Addr{"a": addr("10.1.2.20"), "b": addr("10.1.2.28")}}, false, "", "10.1.2.1", ""},
		{"a first address that is another's", network.IPAMConfig{Subnet: pre("10.1.2.0/24"),
			AuxAddress: map[string]netip.Addr{"a": addr("10.1.2.1")}}, true, "10.1.2.0/25", "10.1.2.2", "10.1.2.128/25"},
		{"a range of the user's", network.IPAMConfig{Subnet: pre("10.1.0.0/16"), IPRange: pre("10.1.128.0/24")}, false,
			"10.1.128.0/24", "10.1.128.0", "10.1.0.0/17"},
		{"a range that is all of it", network.IPAMConfig{Subnet: pre("10.1.0.0/24"), IPRange: pre("10.1.0.0/24")}, false,
			"10.1.0.0/24", "10.1.0.1", ""},
		{"IPv6", network.IPAMConfig{Subnet: pre("fd00::/64")}, false, "", "fd00::1", ""},
	} {
		got, ok := withRoom(c.pool)
		if !ok {
			got = c.pool
		}
		if ok != c.room || got.IPRange.IsValid() && got.IPRange.String() != c.ipRange ||
			gatewayOf(got).String() != c.gateway {
			t.Errorf("%s: %v, range %v, gateway %v", c.name, ok, got.IPRange, gatewayOf(got))
		}
		if free := freePart(got.Subnet, got.IPRange, takenIn(got)); free.IsValid() != (c.free != "") || free.IsValid() &&
			free.String() != c.free {
			t.Errorf("%s: free is %v, want %s", c.name, free, c.free)
		}
	}
}

func TestNoPartOfASubnetThatIsFreeHasAnythingInIt(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	within := func(p netip.Prefix) netip.Addr {
		b := p.Masked().Addr().As4()
		n := binary.BigEndian.Uint32(b[:]) | r.Uint32()&(1<<(32-p.Bits())-1)
		binary.BigEndian.PutUint32(b[:], n)
		return netip.AddrFrom4(b)
	}
	for range 3000 {
		subnet := netip.PrefixFrom(within(netip.MustParsePrefix("10.0.0.0/8")), 20+r.IntN(11)).Masked()
		ipRange := netip.PrefixFrom(within(subnet), min(32, subnet.Bits()+r.IntN(4))).Masked()
		taken := []netip.Addr{}
		for range r.IntN(5) {
			taken = append(taken, within(subnet))
		}
		free := freePart(subnet, ipRange, taken)
		fits := func(p netip.Prefix) bool {
			for _, a := range taken {
				if p.Contains(a) {
					return false
				}
			}
			return !p.Overlaps(ipRange) && p.Bits() <= smallestPart
		}
		if free.IsValid() && (!fits(free) || !subnet.Overlaps(free) || free.Bits() <= subnet.Bits() ||
			free != free.Masked()) {
			t.Fatalf("subnet %v, range %v, taken %v: %v", subnet, ipRange, taken, free)
		}
		larger := smallestPart
		if free.IsValid() {
			larger = free.Bits() - 1
		}
		for bits := subnet.Bits(); bits <= larger; bits++ { // nothing larger fits
			for p := netip.PrefixFrom(subnet.Addr(), bits); subnet.Contains(p.Addr()); p = netip.PrefixFrom(lastAddr(p).Next(),
				bits) {
				if fits(p) {
					t.Fatalf("subnet %v, range %v, taken %v: %v, but %v is larger", subnet, ipRange, taken, free, p)
				}
			}
		}
	}
}

func TestRoomIsLeftOnlyWhereThatIsRhumbs(t *testing.T) {
	v4, v6 := rhumb.Pool{Subnet: "10.1.0.0/24"}, rhumb.Pool{Subnet: "fd00::/64"}
	for name, c := range map[string]struct {
		n      rhumb.Network
		pool   int
		chosen bool
	}{
		"nothing said":         {rhumb.Network{}, -1, true},
		"a bridge":             {rhumb.Network{Driver: "bridge"}, -1, true},
		"another driver":       {rhumb.Network{Driver: "macvlan"}, -1, false},
		"another IPAM":         {rhumb.Network{IPAM: rhumb.IPAM{Driver: "dhcp"}}, -1, false},
		"options of the IPAM":  {rhumb.Network{IPAM: rhumb.IPAM{Options: map[string]string{"a": "b"}}}, -1, false},
		"its own subnet":       {rhumb.Network{IPAM: rhumb.IPAM{Pools: []rhumb.Pool{v6, v4}}}, 1, false},
		"only IPv6 written":    {rhumb.Network{IPv6: true, IPAM: rhumb.IPAM{Pools: []rhumb.Pool{v6}}}, -1, true},
		"two IPv4":             {rhumb.Network{IPAM: rhumb.IPAM{Pools: []rhumb.Pool{v4, v4}}}, -1, false},
		"a pool without a net": {rhumb.Network{IPAM: rhumb.IPAM{Pools: []rhumb.Pool{{Gateway: "10.0.0.1"}}}}, -1, false},
	} {
		ipam, err := ipamOf(c.n)
		if err != nil {
			t.Fatal(err)
		}
		if pool, chosen := roomIn(c.n, ipam); pool != c.pool || chosen != c.chosen {
			t.Errorf("%s: %d, %v", name, pool, chosen)
		}
	}
}

func TestOnlyABridgeOfThisMachineIsOne(t *testing.T) {
	pool := network.IPAMConfig{Subnet: netip.MustParsePrefix("10.1.0.0/24")}
	n := network.Network{Name: "n", ID: "0123456789abcdef", Driver: "bridge", Scope: "local",
		IPAM: network.IPAM{Driver: "default", Config: []network.IPAMConfig{pool}}}
	b, ok := Bridge(&n)
	if !ok || b.Interface != "br-0123456789ab" || b.Addresses.IsValid() || b.Gateway.String() != "10.1.0.1" {
		t.Errorf("one that an older version made: %+v, %v", b, ok)
	}
	n.Options = map[string]string{"com.docker.network.bridge.name": "front0"}
	if b, _ := Bridge(&n); b.Interface != "front0" {
		t.Errorf("its own name: %+v", b)
	}
	for _, change := range []func(*network.Network){
		func(n *network.Network) { n.Driver = "macvlan" },
		func(n *network.Network) { n.Scope = "swarm" },
		func(n *network.Network) { n.IPAM.Config = nil },
	} {
		other := n
		change(&other)
		if b, ok := Bridge(&other); ok {
			t.Errorf("it counts as one: %+v", b)
		}
	}
}
