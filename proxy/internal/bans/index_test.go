package bans

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"rhumb"
)

// TestTheIndexAgreesWithASlowOne compares random changes and lookups with a list.
func TestTheIndexAgreesWithASlowOne(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	b := New(Options{})
	var all []netip.Prefix
	addr := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{203, 0, byte(r.IntN(4)), byte(r.IntN(8))})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(r.IntN(4)), 15: byte(r.IntN(4))})
	}
	for range 20_000 {
		a := addr()
		switch r.IntN(4) {
		case 0:
			p, err := a.Prefix(a.BitLen() - r.IntN(a.BitLen()/2+1))
			if err != nil {
				t.Fatal(err)
			}
			p = normal(p)
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
			b.inForce.begin(rhumb.Ban{Client: p}, nil)
		case 1:
			if len(all) > 0 {
				i := r.IntN(len(all))
				p := all[i]
				b.inForce.end(p, func(ban rhumb.Ban) bool { return ban.Client == p })
				all = slices.Delete(all, i, i+1)
			}
		default:
			want := slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a) })
			if _, got := b.Refuses(a); got != want {
				t.Fatalf("%s is banned: %v, want %v, by %v", a, got, want, all)
			}
		}
	}
}

func TestTheBookIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds, and -short is on")
	}
	b := New(Options{})
	now := time.Now()
	for i := range maxBans + 10 {
		a := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		b.inForce.begin(rhumb.Ban{Client: clientOf(a), Until: now.Add(time.Hour + time.Duration(i))}, nil)
	}
	if n := b.Status().Active; n != maxBans || refused(b, "203.0.0.9") || !refused(b, "203.0.0.10") {
		t.Errorf("%d bans, want %d, without those that end first", n, maxBans)
	}
	var c counts
	c.init()
	for i := range 2 * maxCounters {
		c.add(countKey{rule: 1, hi: uint64(i)}, now, time.Minute)
	}
	n := 0
	for i := range c.shards {
		n += len(c.shards[i].counters)
	}
	if n > maxCounters || n < maxCounters/2 {
		t.Errorf("%d counters, want at most %d", n, maxCounters)
	}
}

// full returns a book with 100,000 bans, and addresses of which half are banned.
func full() (*Book, []netip.Addr) {
	b := New(Options{})
	var as []netip.Addr
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		b.inForce.begin(rhumb.Ban{Client: clientOf(a)}, nil)
		as = append(as, a, netip.AddrFrom4([4]byte{204, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	rand.Shuffle(len(as), func(i, j int) { as[i], as[j] = as[j], as[i] })
	return b, as
}

func TestALookupAllocatesNothing(t *testing.T) {
	b, as := full()
	i := 0
	if n := testing.AllocsPerRun(1000, func() { b.Refuses(as[i]); i++ }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	b.Serve(tableOf(loginRules()))
	q := Request{Client: as[0], Method: "GET", Path: "/products/wp-7", Status: 200}
	if n := testing.AllocsPerRun(1000, func() { b.Note("shop/web:80", q) }); n != 0 {
		t.Errorf("%v allocations for a request that matches no rule", n)
	}
}

func BenchmarkRefusesAmong100000(b *testing.B) {
	book, as := full()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(len(as)); pb.Next(); i++ {
			book.Refuses(as[i%len(as)])
		}
	})
}

func BenchmarkNoteWithoutRules(b *testing.B) {
	book := New(Options{})
	q := Request{Client: netip.MustParseAddr("203.0.113.7"), Method: "GET", Path: "/", Status: 200}
	for b.Loop() {
		book.Note("shop/web:80", q)
	}
}

func BenchmarkNoteWithReadyMadeRules(b *testing.B) {
	book := New(Options{})
	book.Serve(tableOf(readyMade()))
	q := Request{Client: netip.MustParseAddr("203.0.113.7"), Method: "GET", Path: "/products/17/pictures/large",
		Status: 200}
	for b.Loop() {
		book.Note("shop/web:80", q)
	}
}
