package view

import (
	"net/netip"
	"strings"
	"testing"

	"rhumb"
)

func TestWhatIsSeenOfClientsIsShownWithItsReason(t *testing.T) {
	at := func(port uint16, p rhumb.Protocol, backend string) rhumb.Listener {
		return rhumb.Listener{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), port), Protocol: p, Backend: backend}
	}
	named := rhumb.Endpoint{Replica: "r", SendProxy: rhumb.ProxyV2}
	found := ClientAddresses{
		Ports: rhumb.RouterStatus{
			Table: rhumb.Table{
				Listeners: []rhumb.Listener{at(25, rhumb.TCP, "mail"), at(53, rhumb.UDP, "dns"), at(80, rhumb.HTTP, ""),
					at(110, rhumb.TCP, "pop"), at(143, rhumb.TCP, "imap"), at(8080, rhumb.HTTP, "web")},
				Rules:    []rhumb.Rule{{Host: "a.test", Backend: "web"}},
				Backends: []rhumb.Backend{{Name: "pop", Endpoints: []rhumb.Endpoint{named}}},
			},
			Unseen: map[string]string{"mail": "", "dns": "its network is internal", "pop": ""},
		},
		Asked: []Asked{{URL: "http://a.test", Claim: "192.0.2.66", Testimony: Testimony{
			Peer: netip.MustParseAddr("10.0.0.1"), Named: netip.MustParseAddrPort("203.0.113.9:1"),
			Claims: map[string][]string{"X-Forwarded-For": {"192.0.2.66"}}, Client: netip.MustParseAddr("203.0.113.9"),
			Passed: map[string]string{"X-Real-Ip": "203.0.113.9"}}}},
	}
	var b strings.Builder
	ShowClientAddresses(&b, found)
	lines := strings.Split(b.String(), "\n")
	for _, want := range [][]string{
		{"*:25/tcp", "the client's address"},
		{"*:53/udp", "the proxy's address: its network is internal"},
		{"*:110/tcp", "the client in the PROXY protocol, v2"},
		{"*:143/tcp", "unknown"},
		{"*:8080/http", "X-Forwarded-For"},
		{"a.test/", "X-Forwarded-For"},
		{"connected to the proxy", "10.0.0.1"},
		{"named by that proxy", "203.0.113.9"},
		{"the request says", "192.0.2.66 (not believed: 203.0.113.9 isn't in --trusted-proxies)"},
		{"so the client is", "203.0.113.9"},
		{"the replica gets", "X-Real-Ip: 203.0.113.9"},
	} {
		ok := false
		for _, line := range lines {
			ok = ok || strings.Contains(line, want[0]) && strings.Contains(line, want[1])
		}
		if !ok {
			t.Errorf("no line has %q and %q:\n%s", want[0], want[1], b.String())
		}
	}
	found.Asked[0].Trusted = true
	if got := verdictOn(found.Asked[0], "X-Forwarded-For"); !strings.HasPrefix(got, "believed") {
		t.Errorf("of a trusted peer: %s", got)
	}
	if got := verdictOn(found.Asked[0], "Forwarded"); !strings.HasPrefix(got, "not believed") {
		t.Errorf("of a trusted peer in Forwarded: %s", got)
	}
}
