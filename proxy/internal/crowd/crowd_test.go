package crowd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// day is a watch with a clock.
type day struct {
	Watch
	now time.Time
}

func newDay() *day { return &day{now: time.Now()} }

// come has n different clients come from an address.
func (d *day) come(n int, from string) {
	for i := range n {
		d.See(netip.MustParseAddr(from), fmt.Sprint("browser ", i), "en", d.now)
	}
}

func TestAnAddressOfNearlyAllClientsIsShared(t *testing.T) {
	for _, from := range []string{"172.17.0.1", "127.0.0.1", "fd00::1", "::ffff:10.0.0.1", "100.64.1.1", "169.254.1.1"} {
		d := newDay()
		if d.come(fewest-1, from); d.Source() != "" {
			t.Errorf("%s: a few clients are enough", from)
		}
		if d.come(fewest+1, from); d.Source() != netip.MustParseAddr(from).Unmap().String() {
			t.Errorf("%s: shared is %q", from, d.Source())
		}
		if !d.Shared(netip.MustParseAddr(from)) || d.Shared(netip.MustParseAddr("10.9.9.9")) {
			t.Errorf("%s: another address is shared, or this one isn't", from)
		}
	}
}

func TestTheAddressesOfAContentNetworkAreOne(t *testing.T) {
	d := newDay()
	for i := range 40 {
		d.come(2, fmt.Sprintf("172.68.%d.7", i))
	}
	if d.Source() != "Cloudflare" || !d.Shared(netip.MustParseAddr("2606:4700::1")) ||
		d.Shared(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("shared: %q", d.Source())
	}
}

func TestClientsOfTheirOwnAddressesShareNone(t *testing.T) {
	d := newDay()
	d.come(1000, "192.0.2.1") // of a school, or of an attacker
	if d.Source() != "" {
		t.Errorf("a public address is shared: %q", d.Source())
	}
	d = newDay()
	for i := range 200 { // of a local network
		d.come(3, fmt.Sprintf("10.0.0.%d", i))
	}
	if d.Source() != "" {
		t.Errorf("one of many private addresses is shared: %q", d.Source())
	}
	d = newDay()
	for range 10000 {
		d.come(3, "127.0.0.1") // one's own tests
	}
	if d.Source() != "" {
		t.Errorf("the address of three clients is shared: %q", d.Source())
	}
}

func TestWhatIsSharedFollowsTheClients(t *testing.T) {
	d := newDay()
	d.come(100, "172.17.0.1")
	for i := range 20 {
		d.come(1, fmt.Sprintf("192.0.2.%d", i))
	}
	if d.Source() == "" {
		t.Error("a sixth of others ends it")
	}
	d.now = d.now.Add(hour)
	if d.come(5, "192.0.2.1"); d.Source() == "" {
		t.Error("a new hour ends it, before anything is known of it")
	}
	if d.come(30, "192.0.2.1"); d.Source() != "" {
		t.Error("an hour without it doesn't end it")
	}
}

// A client that pretends to be many must not make the watch forget, or believe in another source.
func TestTooManyClientsSayNothingMore(t *testing.T) {
	d := newDay()
	for i := range 100 {
		d.come(1, fmt.Sprintf("192.0.2.%d", i))
	}
	d.come(9*seenBits, "192.0.2.200")
	d.come(1000, "172.17.0.1")
	if d.Source() != "" || d.all > full {
		t.Errorf("shared: %q, of %d", d.Source(), d.all)
	}
}

func TestSeeingAKnownClientAllocatesNothing(t *testing.T) {
	d := newDay()
	d.come(100, "172.17.0.1")
	addr := netip.MustParseAddr("172.17.0.1")
	if n := testing.AllocsPerRun(100, func() { d.See(addr, "browser 1", "en", d.now); d.Shared(addr) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSee(b *testing.B) {
	var w Watch
	addr, now := netip.MustParseAddr("192.0.2.1"), time.Now()
	const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	for b.Loop() {
		w.See(addr, browser, "de-DE,de;q=0.8,en;q=0.5", now)
	}
}
