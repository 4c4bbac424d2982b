package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"rhumb"
)

// bigTable has 10,000 endpoints in 500 backends.
func bigTable(version uint64) rhumb.Table {
	t := rhumb.Table{Version: version}
	for b := range 500 {
		be := rhumb.Backend{Name: fmt.Sprint("stack/service", b, ":80"), Hold: time.Second}
		for e := range 20 {
			be.Endpoints = append(be.Endpoints, rhumb.Endpoint{
				Replica: fmt.Sprintf("%064d", b*20+e), Name: fmt.Sprint("stack-service", b, ".1.", e), Release: 1,
				Addr:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(b >> 8), byte(b), byte(e)}), 80),
				Draining: (b+e+int(version))%7 == 0})
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
