package routing

import (
	"net/netip"
	"testing"
	"time"

	"rhumb"
)

func TestEachReplicaGetsThePreamblesOfItsOwnRelease(t *testing.T) {
	service := func(send rhumb.ProxyProtocol, accept bool) *rhumb.Service {
		return &rhumb.Service{Name: "web", SendProxy: send, AcceptProxy: accept, Ports: []rhumb.Port{
			{Published: 80, Target: 80, Protocol: rhumb.TCP}, {Published: 53, Target: 53, Protocol: rhumb.UDP}}}
	}
	at := func(replica, addr string) rhumb.Endpoint {
		return rhumb.Endpoint{Replica: replica, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 0)}
	}
	var table rhumb.Table
	old, now := service("", false), service(rhumb.ProxyV2, true)
	Route(&table, "shop", old, at("a", "10.0.0.2"))
	PublishAll(&table, "shop", old)
	Route(&table, "shop", now, at("b", "10.0.0.3"))
	PublishAll(&table, "shop", now)
	model := &rhumb.Stack{Services: []rhumb.Service{*now}}
	check := func(when string, a rhumb.ProxyProtocol) {
		t.Helper()
		for _, b := range table.Backends {
			for _, e := range b.Endpoints {
				want := map[string]rhumb.ProxyProtocol{"a": a, "b": rhumb.ProxyV2}[e.Replica]
				if isUDP(b.Name) {
					want = ""
				}
				if e.SendProxy != want {
					t.Errorf("%s: %s of %s gets %q, want %q", when, e.Replica, b.Name, e.SendProxy, want)
				}
			}
		}
		for _, l := range table.Listeners {
			if l.AcceptProxy != (l.Protocol == rhumb.TCP) {
				t.Errorf("%s: %s accepts preambles: %v", when, l.Protocol, l.AcceptProxy)
			}
		}
	}
	Configure(&table, "shop", model, true)
	check("while the deployment is open", "")
	Drain(&table, "shop", "a", time.Now())
	Configure(&table, "shop", model, false)
	check("while the old replica drains", "")
	Route(&table, "shop", old, at("a", "10.0.0.2")) // a change of x-rhumb alone replaces no replica
	Configure(&table, "shop", model, false)
	check("once the release serves", rhumb.ProxyV2)
}
