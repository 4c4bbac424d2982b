package backend

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy/internal/limits"
	"rhumb/proxy/internal/table"
)

// visible hides no endpoint.
func visible(rhumb.Endpoint) bool { return false }

func TestCountersLastAsLongAsTheirBackend(t *testing.T) {
	table := func(release int, backends ...string) rhumb.Table {
		var tb rhumb.Table
		for _, b := range backends {
			e := rhumb.Endpoint{Replica: fmt.Sprint("r", release), Release: release,
				Addr: netip.MustParseAddrPort("10.0.0.1:1")}
			tb.Backends = append(tb.Backends, rhumb.Backend{Name: b, Endpoints: []rhumb.Endpoint{e}})
		}
		return tb
	}
	s := Empty().Next(table(1, "a", "b"), visible)
	m := s.backends["a"].pick(nil)
	m.NoteAnswered(200, time.Second)
	s = s.Next(table(2, "a", "b"), visible)
	if got := s.backends["a"].counters.stats().Releases[1]; got.Served != 1 || got.Latency != time.Second {
		t.Errorf("after another table: %+v", got)
	}
	if open, busy := s.Open(); open["r1"] != 1 || busy["r1"] != 1 {
		t.Error("a replica that left with a connection open is forgotten")
	}
	m.Done()
	s = s.Next(table(3, "b"), visible).Next(table(3, "b"), visible)
	if len(s.replicas) != 1 {
		t.Errorf("replicas without connections are kept: %v", s.replicas)
	}
	s = s.Next(table(4, "a"), visible)
	if got := s.backends["a"].counters.stats().Releases; len(got) != 1 {
		t.Errorf("a backend that came back has old counts: %v", got)
	}
	for i := range 50 {
		s = s.Next(table(i+5, "a"), visible)
	}
	if got := s.backends["a"].counters.stats().Releases; len(got) != 1+keptReleases {
		t.Errorf("%d releases are remembered", len(got))
	}
}

// A connection may be counted after the next table was made of the counts, and before that table is served.
func TestAPickWhileATableIsMadeIsCounted(t *testing.T) {
	e := rhumb.Endpoint{Replica: "r1", Release: 1, Addr: netip.MustParseAddrPort("10.0.0.1:1")}
	with := rhumb.Table{Backends: []rhumb.Backend{{Name: "a", Endpoints: []rhumb.Endpoint{e}}}}
	without := rhumb.Table{Backends: []rhumb.Backend{{Name: "a"}}}
	var served atomic.Pointer[Snapshot]
	served.Store(Empty().Next(with, visible))
	b := New(&served, limits.Limits{})

	next := served.Load().Next(without, visible)
	m := b.Now("a")
	served.Store(next)
	if m == nil {
		t.Fatal("nothing was picked, so this test proves nothing")
	}
	if open, busy := next.Open(); open["r1"] != 1 || busy["r1"] != 1 {
		t.Errorf("open are %v, busy %v", open, busy)
	}
	if leaving := next.Leaving(); len(leaving) != 1 || !leaving[0].BeginDismissing() {
		t.Errorf("leaving are %v", leaving)
	}
	if after := next.Next(with, visible); after.replicas["r1"] != m.replica {
		t.Error("a replica that comes back is counted from zero")
	}
	m.Done()
	if after := next.Next(without, visible); len(after.replicas) != 0 {
		t.Errorf("replicas without connections are kept: %v", after.replicas)
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte(`{"Version":1,"Listeners":[{"Addr":"[::]:80","Protocol":"http","Backend":"b"}],"Rules":[{"Host":"a","Path":"/","Backend":"b"}],
		"Backends":[{"Name":"b","Hold":1,"Endpoints":[{"Replica":"r","Addr":"10.0.0.1:1","Draining":true,"Since":"2026-01-02T03:04:05Z"}]}]}`))
	f.Add([]byte(`{"Version":1} {}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tb, err := table.Decode(data, true)
		if err != nil {
			return
		}
		s := Empty().Next(tb.Clone(), visible) // what is valid can be served
		s.Next(tb, visible)
		for _, b := range s.backends {
			b.pick(nil)
		}
		if !tb.Equal(tb.Clone()) {
			t.Fatal("a table differs from itself")
		}
	})
}

func BenchmarkPick(b *testing.B) {
	be := rhumb.Backend{Name: "b"}
	for e := range 20 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(e)}), 80)
		be.Endpoints = append(be.Endpoints, rhumb.Endpoint{Replica: fmt.Sprint(e), Addr: at, Draining: e%7 == 0})
	}
	backend := Empty().Next(rhumb.Table{Backends: []rhumb.Backend{be}}, visible).backends["b"]
	for b.Loop() {
		backend.pick(nil).Done()
	}
}
