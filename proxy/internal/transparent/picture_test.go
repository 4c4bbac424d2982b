package transparent

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestTheReasonIsKnownBeforeTheConnection(t *testing.T) {
	p := &picture{
		bridges: []bridge{
			{name: "br-web", inner: true, nets: []netip.Prefix{netip.MustParsePrefix("172.18.0.0/16"),
				netip.MustParsePrefix("fd18::/64")}},
			{name: "br-other", inner: true, nets: []netip.Prefix{netip.MustParsePrefix("172.19.0.0/16")}},
			{name: "br0", nets: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}},
		},
		trials: map[netip.Addr]trial{addr("172.18.0.2"): {}, addr("fd18::2"): {}, addr("172.19.0.2"): {why: unanswered}},
	}
	broken := &picture{broken4: "no nftables", bridges: p.bridges, trials: p.trials}
	for _, c := range []struct {
		name             string
		of               *picture
		client, endpoint string
		want             string
	}{
		{"a client elsewhere", p, "203.0.113.9", "172.18.0.2", ""},
		{"over IPv6", p, "2001:db8::9", "fd18::2", ""},
		{"a neighbour of the machine, whose network card is on a bridge", p, "192.168.1.9", "172.18.0.2", ""},
		{"loopback", p, "127.0.0.1", "172.18.0.2", "loopback"},
		{"loopback of IPv6", p, "::1", "fd18::2", "loopback"},
		{"link-local", p, "fe80::1", "fd18::2", "means nothing"},
		{"over IPv6 to IPv4", p, "2001:db8::9", "172.18.0.2", "IPv4 only"},
		{"the replica's own network", p, "172.18.0.9", "172.18.0.2", "own network"},
		{"another container", p, "172.19.0.9", "172.18.0.2", "container of this machine"},
		{"the machine's own network", p, "203.0.113.9", "127.0.0.1", "own network"},
		{"another machine", p, "203.0.113.9", "10.1.2.3", "isn't on a bridge"},
		{"one that was not tried", p, "203.0.113.9", "172.18.0.3", notYet},
		{"one whose answers got lost", p, "203.0.113.9", "172.19.0.2", unanswered},
		{"a kernel without the parts", broken, "203.0.113.9", "172.18.0.2", "no nftables"},
		{"which has them for IPv6", broken, "2001:db8::9", "fd18::2", ""},
	} {
		got := c.of.why(addr(c.client), addr(c.endpoint))
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNothingIsPromisedBeforeTheFirstLook(t *testing.T) {
	m := New(Options{Instance: "test"})
	if got := m.Why(addr("203.0.113.9"), addr("172.18.0.2")); got != notYet {
		t.Errorf("got %q", got)
	}
}

func TestADoubtPassesAndDoubtsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d doubts
		a, b, e := addr("203.0.113.9"), addr("203.0.113.10"), addr("172.18.0.2")
		d.add(a, e)
		if !d.have(a, e) || d.have(b, e) || d.have(a, b) {
			t.Error("a doubt concerns one client and one endpoint")
		}
		time.Sleep(doubtTime + 1)
		if d.have(a, e) || d.some.Load() {
			t.Error("a doubt stays")
		}
		for range 3 * mostDoubts {
			a = a.Next()
			d.add(a, e)
		}
		if n := len(d.until); n > mostDoubts || !d.have(a, e) {
			t.Errorf("%d doubts", n)
		}
		d.forget()
		if d.have(a, e) {
			t.Error("a doubt outlives the repair")
		}
		d.add(a, e) // of a connection that began before the repair
		if d.have(a, e) {
			t.Error("the fault that was repaired is still doubted")
		}
		time.Sleep(faultTime)
		if d.add(a, e); !d.have(a, e) {
			t.Error("nothing is doubted after a repair")
		}
	})
}

func TestMarksOfInstancesLeaveOtherBitsAlone(t *testing.T) {
	seen := map[uint32]bool{}
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		k := kernelOf(name)
		if k.mark == 0 || k.mark&^bits != 0 || k.mark <= 255 { // up to 255 are the machine's own routing tables
			t.Errorf("mark %#x", k.mark)
		}
		seen[k.mark] = true
	}
	if len(seen) < 20 {
		t.Errorf("26 instances have %d marks", len(seen))
	}
}
