package table

import (
	"net/netip"
	"strings"
	"testing"

	"rhumb"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestAnInvalidTableIsRefusedWithTheReason(t *testing.T) {
	good := func() rhumb.Table {
		return rhumb.Table{Version: 1,
			Listeners: []rhumb.Listener{{Addr: ap("[::]:80"), Protocol: rhumb.HTTP},
				{Addr: ap("127.0.0.1:5432"), Protocol: rhumb.TCP, Backend: "b"}},
			Rules: []rhumb.Rule{{Host: "a.test", Path: "/x", Backend: "b"}},
			Backends: []rhumb.Backend{{Name: "b", Endpoints: []rhumb.Endpoint{{Replica: "r",
				Addr: ap("10.0.0.1:1")}}}}}
	}
	if err := Validate(good()); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*rhumb.Table){
		"unknown backend":  func(t *rhumb.Table) { t.Listeners[1].Backend = "x" },
		"rule a.test/x":    func(t *rhumb.Table) { t.Rules[0].Backend = "x" },
		"overlap":          func(t *rhumb.Table) { t.Listeners[1].Addr = ap("1.2.3.4:80") },
		"no backend":       func(t *rhumb.Table) { t.Listeners[1].Backend = "" },
		"unknown protocol": func(t *rhumb.Table) { t.Listeners[0].Protocol = "sctp" },
		"can't be bound":   func(t *rhumb.Table) { t.Listeners[0].Addr = netip.AddrPort{} },
		"two backends":     func(t *rhumb.Table) { t.Backends = append(t.Backends, t.Backends[0]) },
		"has no name":      func(t *rhumb.Table) { t.Backends = append(t.Backends, rhumb.Backend{}) },
		"duplicate endpoint": func(t *rhumb.Table) {
			b := &t.Backends[0]
			b.Endpoints = append(b.Endpoints,
				b.Endpoints[0])
		},
		"no address":       func(t *rhumb.Table) { t.Backends[0].Endpoints[0].Addr = netip.AddrPort{} },
		"hold is negative": func(t *rhumb.Table) { t.Backends[0].Hold = -1 },
		"two rules": func(t *rhumb.Table) {
			t.Rules = append(t.Rules, rhumb.Rule{Host: "A.test.", Path: "/x/", Backend: "b"})
		},
		"begin with a slash":    func(t *rhumb.Table) { t.Rules[0].Path = "x" },
		"not a host name":       func(t *rhumb.Table) { t.Rules[0].Host = "a.*.test" },
		`host "*."`:             func(t *rhumb.Table) { t.Rules[0].Host = "*." },
		"listener address [::f": func(t *rhumb.Table) { t.Listeners[0].Addr = ap("[::ffff:1.2.3.4]:80") },
	} {
		tb := good()
		spoil(&tb)
		if err := Validate(tb); err == nil || !strings.Contains(err.Error(), want) ||
			rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestInvalidSegmentsAreRefused(t *testing.T) {
	good := rhumb.Segment{Network: "a", ID: "id-a", Stack: "shop", Bridge: "br-a",
		Subnet: netip.MustParsePrefix("10.0.1.0/24"),
		Services: []rhumb.ServiceAddress{{Service: "web", Addr: netip.MustParseAddr("10.0.1.200"),
			Endpoints: []rhumb.Endpoint{{Replica: "r1", Name: "r1", Addr: ap("10.0.1.2:0")},
				{Replica: "r2", Name: "r2", Addr: ap("10.0.2.2:0")}}}},
		Legs: []rhumb.Leg{{Network: "b", ID: "id-b", Bridge: "br-b", Subnet: netip.MustParsePrefix("10.0.2.0/24"),
			Addr: netip.MustParseAddr("10.0.2.200")}}}
	for what, spoil := range map[string]func(*rhumb.Segment){
		"no ID":                        func(s *rhumb.Segment) { s.ID = "" },
		"a bridge's name with a slash": func(s *rhumb.Segment) { s.Bridge = "../x" },
		"IPv6":                         func(s *rhumb.Segment) { s.Subnet = netip.MustParsePrefix("fd00::/64") },
		"an address outside":           func(s *rhumb.Segment) { s.Services[0].Addr = netip.MustParseAddr("10.9.9.9") },
		"an endpoint outside": func(s *rhumb.Segment) {
			s.Services[0].Endpoints[0].Addr = netip.MustParseAddrPort("10.9.9.9:0")
		},
		"an endpoint at the address": func(s *rhumb.Segment) {
			s.Services[0].Addr = s.Services[0].Endpoints[0].Addr.Addr()
		},
		"an endpoint without a replica": func(s *rhumb.Segment) { s.Services[0].Endpoints[0].Replica = "" },
		"a leg without a network":       func(s *rhumb.Segment) { s.Legs[0].ID = "" },
		"a leg into itself":             func(s *rhumb.Segment) { s.Legs[0].ID = s.ID },
		"a leg that overlaps":           func(s *rhumb.Segment) { s.Legs[0].Subnet = s.Subnet },
		"a leg without an address":      func(s *rhumb.Segment) { s.Legs[0].Addr = netip.Addr{} },
		"a leg to no bridge":            func(s *rhumb.Segment) { s.Legs[0].Bridge = "" },
		"a leg twice":                   func(s *rhumb.Segment) { s.Legs = append(s.Legs, s.Legs[0]) },
		"an endpoint without its leg":   func(s *rhumb.Segment) { s.Legs = nil },
		"an address twice":              func(s *rhumb.Segment) { s.Services = append(s.Services, s.Services[0]) },
	} {
		s := rhumb.Table{Segments: []rhumb.Segment{good}}.Clone().Segments
		spoil(&s[0])
		if err := Validate(rhumb.Table{Segments: s}); rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := Validate(rhumb.Table{Segments: []rhumb.Segment{good}}); err != nil {
		t.Error(err)
	}
	if err := Validate(rhumb.Table{Segments: []rhumb.Segment{good, good}}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("twice: %v", err)
	}
}
