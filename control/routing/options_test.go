package routing

import (
	"net/netip"
	"testing"

	"rhumb"
	"rhumb/internal/routertest"
)

// optioned returns a stack whose service has a route and two ports with options.
func optioned(route, ports *rhumb.RouteOptions) *rhumb.Stack {
	return &rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web", HTTP: ports,
		Routes: []rhumb.Route{{Host: "a.test", Path: "/b", Port: 80, Options: route}},
		Ports: []rhumb.Port{{Published: 8080, Target: 80, Protocol: rhumb.HTTP},
			{Published: 8081, Target: 81, Protocol: rhumb.TCP}}}}}
}

func TestRulesAndListenersHaveTheOptionsOfTheModel(t *testing.T) {
	r := routertest.New()
	d := NewDesk(r, netip.MustParseAddrPort("[::]:80"), netip.AddrPort{}, rhumb.Authority{})
	edit := func(f func(*rhumb.Table)) rhumb.Table {
		t.Helper()
		if err := d.Edit(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		st, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Table
	}
	one, other := &rhumb.RouteOptions{Compress: true}, &rhumb.RouteOptions{Strip: true}
	m := optioned(one, other)
	table := edit(func(t *rhumb.Table) {
		for _, addr := range m.Services[0].Addresses() {
			_ = Publish(t, "shop", &m.Services[0], addr)
		}
	})
	check := func(rule, listener string, sets int) {
		t.Helper()
		if len(table.Options) != sets || table.Rules[0].Options != rule {
			t.Errorf("%+v", table)
		}
		for _, l := range table.Listeners {
			want := ""
			if l.Protocol == rhumb.HTTP && l.Backend != "" {
				want = listener
			}
			if l.Options != want {
				t.Errorf("%s has the options %q", l.Addr, l.Options)
			}
		}
	}
	check(one.ID(), other.ID(), 2)
	configure := func(m *rhumb.Stack) func(*rhumb.Table) {
		return func(t *rhumb.Table) { Configure(t, "shop", m, true) }
	}
	if Changes(table, configure(m)) {
		t.Error("what is there already is sent again")
	}
	table = edit(configure(optioned(other, nil)))
	check(other.ID(), "", 1)
	table = edit(func(t *rhumb.Table) { Configure(t, "blog", optioned(one, one), true) })
	check(other.ID(), "", 1)
	table = edit(configure(optioned(nil, nil)))
	check("", "", 0)
}

func TestEndpointsOfAStickyBackendHaveSlots(t *testing.T) {
	m := optioned(nil, nil)
	s := &m.Services[0]
	replica := func(id, name string) rhumb.Endpoint {
		return rhumb.Endpoint{Replica: id, Name: name, Release: 4, Addr: netip.MustParseAddrPort("10.0.0.2:0")}
	}
	var table rhumb.Table
	slots := func() (list []int) {
		for _, b := range table.Backends {
			for _, e := range b.Endpoints {
				list = append(list, e.Slot)
			}
		}
		return list
	}
	Route(&table, "shop", s, replica("a", "shop-web.4.7"))
	if got := slots(); len(got) != 2 || got[0] != 0 {
		t.Errorf("not sticky: %v", got)
	}
	s.Sticky = true
	Configure(&table, "shop", m, true)
	if got := slots(); got[0] != 7 || got[1] != 7 || !table.Backends[0].Sticky {
		t.Errorf("sticky from now on: %v", got)
	}
	Route(&table, "shop", s, replica("b", "shop-web.4.11"))
	if got := slots(); len(got) != 4 || got[1] != 11 {
		t.Errorf("with another replica: %v", got)
	}
}
