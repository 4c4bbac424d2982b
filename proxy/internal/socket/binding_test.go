package socket

import (
	"net/netip"
	"testing"
)

func TestAddressesOverlapAsInTheKernel(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"[::]:80", "127.0.0.1:80", true}, {"[::]:80", "0.0.0.0:80", true}, {"[::]:80", "[::1]:80", true},
		{"0.0.0.0:80", "127.0.0.1:80", true}, {"0.0.0.0:80", "[::1]:80", false}, {"127.0.0.1:80", "127.0.0.2:80",
			false},
		{"[::]:80", "[::]:81", false}, {"127.0.0.1:80", "127.0.0.1:80", true},
	} {
		a, b := Binding{Addr: netip.MustParseAddrPort(c.a)}, Binding{Addr: netip.MustParseAddrPort(c.b)}
		if a.Overlaps(b) != c.want || b.Overlaps(a) != c.want {
			t.Errorf("%s and %s: not %v", c.a, c.b, c.want)
		}
		if b.UDP = true; a.Overlaps(b) {
			t.Errorf("TCP %s and UDP %s overlap", c.a, c.b)
		}
	}
}
