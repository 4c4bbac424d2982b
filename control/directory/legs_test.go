package directory

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// moving is a view of a stack whose services go from one network to another. Its web is there twice.
func moving(was, now *rhumb.Stack) View {
	v := View{Wanted: now, Previous: was, Specs: map[string]string{"web": "new", "api": "new"}}
	for i, network := range []string{"shop_a", "shop_b", "shop_c"} {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 24)
		v.Bridges = append(v.Bridges, rhumb.Bridge{Network: network, ID: "id of " + network, Interface: "br-" + network,
			Subnet: subnet, Gateway: subnet.Addr().Next(),
			Addresses: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 128}), 25)})
	}
	v.Replicas = []rhumb.Replica{
		{Service: "web", Slot: 1, Spec: "old", State: rhumb.StateRunning,
			Addrs: map[string]netip.Addr{"shop_a": netip.MustParseAddr("10.0.0.2")}},
		{Service: "web", Slot: 1, Spec: "new", State: rhumb.StateRunning,
			Addrs: map[string]netip.Addr{"shop_b": netip.MustParseAddr("10.1.0.2")}},
	}
	return v
}

// legsOf returns the networks into which each network has a leg.
func legsOf(t *testing.T, v View) map[string]string {
	t.Helper()
	p, err := NewBook(newSettings(), "shop").Propose(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range p.Segments {
		for _, l := range s.Legs {
			got[s.Network] += l.Network + " "
			for _, other := range p.Segments {
				for _, a := range other.Services {
					if a.Addr == l.Addr {
						t.Errorf("%s has the address of %s in %s", s.Network, a.Service, other.Network)
					}
				}
			}
			if !l.Subnet.Contains(l.Addr) || l.ID != "id of "+l.Network || l.Bridge != "br-"+l.Network {
				t.Errorf("%s has a leg %+v", s.Network, l)
			}
		}
	}
	return got
}

func TestNetworksHaveLegsWhereServicesMove(t *testing.T) {
	stack := func(api, web string) *rhumb.Stack {
		return &rhumb.Stack{Services: []rhumb.Service{on("api", in(api)), on("web", in(web))}}
	}
	both := stack("shop_a", "shop_b")
	both.Services[1] = on("web", in("shop_a"), in("shop_b"))
	for _, c := range []struct {
		name     string
		was, now *rhumb.Stack
		want     map[string]string
	}{
		{"all move", stack("shop_a", "shop_a"), stack("shop_b", "shop_b"),
			map[string]string{"shop_a": "shop_b ", "shop_b": "shop_a "}},
		{"to several", stack("shop_a", "shop_a"), stack("shop_b", "shop_c"),
			map[string]string{"shop_a": "shop_b shop_c ", "shop_b": "shop_a ", "shop_c": "shop_a "}},
		{"one moves", stack("shop_a", "shop_a"), stack("shop_b", "shop_a"),
			map[string]string{"shop_a": "shop_b ", "shop_b": "shop_a "}},
		{"its callers join one more", stack("shop_a", "shop_a"), both, map[string]string{}},
		{"nothing moves", stack("shop_a", "shop_a"), stack("shop_a", "shop_a"), map[string]string{}},
		{"no release before", nil, stack("shop_b", "shop_b"), map[string]string{}},
		{"where no caller is left", stack("shop_c", "shop_c"), stack("shop_b", "shop_b"), map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, legsOf(t, moving(c.was, c.now))); diff != "" {
				t.Errorf("legs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLegsEndWithTheLastReplicaThatHasNotMoved(t *testing.T) {
	stack := func(network string) *rhumb.Stack {
		return &rhumb.Stack{Services: []rhumb.Service{on("api", in(network)), on("web", in(network))}}
	}
	v := moving(stack("shop_a"), stack("shop_b"))
	v.Replicas[0].State = rhumb.StateExited
	if got := legsOf(t, v); len(got) > 0 {
		t.Errorf("legs %v", got)
	}
}

func TestAFullNetworkHasRoomForServicesBeforeLegs(t *testing.T) {
	stack := func(network string) *rhumb.Stack {
		return &rhumb.Stack{Services: []rhumb.Service{on("api", in(network)), on("web", in(network))}}
	}
	v := moving(stack("shop_a"), stack("shop_b"))
	v.Bridges[1].Subnet = netip.MustParsePrefix("10.1.0.0/29")
	v.Bridges[1].Addresses = netip.MustParsePrefix("10.1.0.4/30") // 4, 5, 6, and the broadcast address
	v.Replicas[1].Addrs["shop_b"] = netip.MustParseAddr("10.1.0.4")
	p, err := NewBook(newSettings(), "shop").Propose(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Segments) != 2 || len(p.Segments[1].Services) != 2 || len(p.Segments[0].Legs) > 0 {
		t.Errorf("%+v", p.Segments)
	}
}
