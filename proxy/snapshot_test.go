package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy/internal/table"
)

func TestCountersOutliveTheTableAndTheBackendOnly(t *testing.T) {
	table := func(release int, backends ...string) rhumb.Table {
		var tb rhumb.Table
		for _, b := range backends {
			tb.Backends = append(tb.Backends, rhumb.Backend{Name: b, Endpoints: []rhumb.Endpoint{{Replica: fmt.Sprint("r", release), Release: release, Addr: netip.MustParseAddrPort("10.0.0.1:1")}}})
		}
		return tb
	}
	s := emptySnapshot().next(table(1, "a", "b"), nobody)
	l, _ := s.backends["a"].pick(nil)
	l.release.answered(time.Second)
	s = s.next(table(2, "a", "b"), nobody)
	if got := s.backends["a"].counters.stats().Releases[1]; got.Served != 1 || got.Latency != time.Second {
		t.Errorf("after another table: %+v", got)
	}
	if open, busy := s.open(); open["r1"] != 1 || busy["r1"] != 1 {
		t.Error("a replica that left with a connection open is forgotten")
	}
	l.drop()
	s = s.next(table(3, "b"), nobody)
	if len(s.replicas) != 1 {
		t.Errorf("replicas without connections are kept: %v", s.replicas)
	}
	s = s.next(table(4, "a"), nobody)
	if got := s.backends["a"].counters.stats().Releases; len(got) != 1 {
		t.Errorf("a backend that came back has old counts: %v", got)
	}
	for i := range 50 {
		s = s.next(table(i+5, "a"), nobody)
	}
	if got := s.backends["a"].counters.stats().Releases; len(got) != 1+keptReleases {
		t.Errorf("%d releases are remembered", len(got))
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
		s := emptySnapshot().next(tb.Clone(), nobody) // what is valid can be served
		s.next(tb, nobody)
		for _, b := range s.backends {
			b.pick(nil)
		}
		if !tb.Equal(tb.Clone()) {
			t.Fatal("a table differs from itself")
		}
	})
}

// bigTable has 10,000 endpoints in 500 backends.
func bigTable(version uint64) rhumb.Table {
	t := rhumb.Table{Version: version}
	for b := range 500 {
		be := rhumb.Backend{Name: fmt.Sprint("stack/service", b, ":80"), Hold: time.Second}
		for e := range 20 {
			be.Endpoints = append(be.Endpoints, rhumb.Endpoint{Replica: fmt.Sprintf("%064d", b*20+e), Name: fmt.Sprint("stack-service", b, ".1.", e), Release: 1,
				Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(b >> 8), byte(b), byte(e)}), 80), Draining: (b+e+int(version))%7 == 0})
		}
		t.Backends = append(t.Backends, be)
		t.Rules = append(t.Rules, rhumb.Rule{Host: fmt.Sprint("h", b, ".test"), Backend: be.Name})
	}
	return t
}

func BenchmarkSwapOf10000Endpoints(b *testing.B) {
	p, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	close(p.running)
	tables := [2]rhumb.Table{bigTable(1), bigTable(2)}
	v := uint64(0)
	for b.Loop() {
		v++
		tables[v%2].Version = v
		if err := p.Apply(b.Context(), tables[v%2]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSwapOf10000EndpointsSaved(b *testing.B) {
	p, err := New(Options{State: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	close(p.running)
	t := bigTable(1)
	for b.Loop() {
		t.Version++
		if err := p.Apply(b.Context(), t); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	s := emptySnapshot().next(bigTable(1), nobody)
	be := s.backends["stack/service0:80"]
	for b.Loop() {
		l, _ := be.pick(nil)
		l.drop()
	}
}
