package routing

import (
	"net/netip"
	"testing"

	"rhumb"
)

func TestAReplicaJoinsTheSegmentsThatReachIt(t *testing.T) {
	old := rhumb.Segment{Network: "shop_a", Stack: "shop", Subnet: netip.MustParsePrefix("10.0.0.0/24"),
		Services: []rhumb.ServiceAddress{{Service: "web", Addr: netip.MustParseAddr("10.0.0.129")}},
		Legs:     []rhumb.Leg{{Network: "shop_b", Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}
	now := rhumb.Segment{Network: "shop_b", Stack: "shop", Subnet: netip.MustParsePrefix("10.1.0.0/24"),
		Services: []rhumb.ServiceAddress{{Service: "web", Addr: netip.MustParseAddr("10.1.0.129")}}}
	table := rhumb.Table{Segments: []rhumb.Segment{old, now}}
	rep := rhumb.Replica{ID: "r", Stack: "shop", Service: "web", Slot: 1, State: rhumb.StateRunning,
		Addrs: map[string]netip.Addr{"shop_b": netip.MustParseAddr("10.1.0.2")}}
	if !RouteInside(&table, "shop", rep) {
		t.Fatal("it is routed nowhere")
	}
	for _, s := range table.Segments {
		if es := s.Services[0].Endpoints; len(es) != 1 || es[0].Addr.Addr() != rep.Addrs["shop_b"] {
			t.Errorf("%s leads to %v", s.Network, es)
		}
	}
	before := table.Clone()
	both := rep
	both.Addrs = map[string]netip.Addr{"shop_a": netip.MustParseAddr("10.0.0.2"), "shop_b": rep.Addrs["shop_b"]}
	RouteInside(&before, "shop", both)
	if got := before.Segments[0].Services[0].Endpoints[0].Addr.Addr(); got != both.Addrs["shop_a"] {
		t.Errorf("a replica in both networks is reached at %s", got)
	}
	gone := table.Clone()
	DropSegment(&gone, "shop", "shop_b")
	if len(gone.Segments) != 1 || len(gone.Segments[0].Legs) > 0 || len(gone.Segments[0].Services[0].Endpoints) > 0 {
		t.Errorf("left when the network goes: %+v", gone.Segments)
	}
	RebuildSegments(&table, "shop", []rhumb.Segment{old, now}, []rhumb.Replica{rep}, nil)
	for _, s := range table.Segments {
		if len(s.Services[0].Endpoints) != 1 {
			t.Errorf("rebuilt, %s leads to %v", s.Network, s.Services[0].Endpoints)
		}
	}
	old.Legs = nil
	RebuildSegments(&table, "shop", []rhumb.Segment{old, now}, []rhumb.Replica{rep}, nil)
	if es := table.Segments[0].Services[0].Endpoints; len(es) > 0 {
		t.Errorf("without a leg, %s leads to %v", table.Segments[0].Network, es)
	}
}
