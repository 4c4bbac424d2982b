package bans

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// loginRules are those of a service that bans after three refused sign-ins within a minute.
func loginRules() rhumb.Bans {
	return rhumb.Bans{For: time.Minute, Grow: 2, Max: time.Hour, On: []rhumb.BanRule{
		{Name: "login", Status: []rhumb.StatusRange{{From: 401, To: 401}}, Paths: []string{"/login*"},
			Methods: []string{"POST"}, Count: 3, In: time.Minute},
		{Name: "mail", Log: "mail", Match: "<client>", Count: 2, In: time.Minute},
	}}
}

func tableOf(b rhumb.Bans) rhumb.Table {
	return rhumb.Table{Version: 1, Backends: []rhumb.Backend{{Name: "shop/web:80", Stack: "shop", Service: "web", Bans: b}}}
}

func newBook(t testing.TB, o Options) *Book {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	b := New(o)
	if err := b.Load(); err != nil {
		t.Fatal(err)
	}
	b.Serve(tableOf(loginRules()))
	return b
}

// run runs a book until stop.
func run(t testing.TB, b *Book) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// fail has a client fail to sign in.
func fail(b *Book, client string, times int) {
	for range times {
		b.Note("shop/web:80", Request{Client: netip.MustParseAddr(client), Method: "POST", Path: "/login", Status: 401})
	}
}

func refused(b *Book, client string) bool {
	_, yes := b.Refuses(netip.MustParseAddr(client))
	return yes
}

func TestAClientIsBannedOnceItHasMatchedTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, Options{})
		defer run(t, b)()
		fail(b, "203.0.113.7", 2)
		if refused(b, "203.0.113.7") {
			t.Error("it is banned after two of three")
		}
		fail(b, "203.0.113.8", 1)
		fail(b, "203.0.113.7", 1)
		if !refused(b, "203.0.113.7") || refused(b, "203.0.113.8") {
			t.Error("the wrong client is banned")
		}
		time.Sleep(time.Minute - time.Second)
		if !refused(b, "203.0.113.7") {
			t.Error("the ban has ended early")
		}
		time.Sleep(2 * time.Second)
		if refused(b, "203.0.113.7") {
			t.Error("the ban hasn't ended")
		}
		for _, length := range []time.Duration{2, 4, 8} {
			fail(b, "203.0.113.7", 3)
			list, _ := b.Bans(t.Context())
			if len(list) != 1 || list[0].Until.Sub(list[0].Since) != length*time.Minute {
				t.Fatalf("after more bans: %+v, want %d minutes", list, length)
			}
			time.Sleep(length*time.Minute + time.Second)
		}
	})
}

func TestRequestsThatDontFitTheRuleDontCount(t *testing.T) {
	b := newBook(t, Options{})
	a := netip.MustParseAddr("203.0.113.7")
	for range 10 {
		for _, q := range []Request{
			{a, "GET", "/login", 401}, {a, "POST", "/log", 401}, {a, "POST", "/login", 200}, {a, "", "", 0},
		} {
			b.Note("shop/web:80", q)
		}
		b.Note("shop/other:80", Request{a, "POST", "/login", 401})
	}
	if refused(b, "203.0.113.7") {
		t.Error("it is banned for something else")
	}
}

func TestMatchesThatAreTooFarApartDontBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, Options{})
		for range 20 {
			fail(b, "203.0.113.7", 1)
			time.Sleep(40 * time.Second)
		}
		if refused(b, "203.0.113.7") {
			t.Error("two failures a minute are banned, although three are needed")
		}
	})
}

func TestAnIPv6ClientIsItsNetwork(t *testing.T) {
	b := newBook(t, Options{})
	fail(b, "2001:db8:1:2::1", 1)
	fail(b, "2001:db8:1:2::2", 1)
	fail(b, "2001:db8:1:2:ffff::3", 1)
	if !refused(b, "2001:db8:1:2::4") || refused(b, "2001:db8:1:3::1") {
		t.Error("it isn't the network of 64 bits that is banned")
	}
	fail(b, "::ffff:203.0.113.7", 3)
	if !refused(b, "203.0.113.7") {
		t.Error("an IPv4 address in IPv6 is another client")
	}
}

func TestSomeClientsAreNeverBanned(t *testing.T) {
	b := newBook(t, Options{Trusted: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	b.spared.own.Store(&[]netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")})
	if err := b.Spare(t.Context(), netip.MustParseAddr("203.0.113.9")); err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{"198.51.100.9", "203.0.113.1", "2001:db8::2", "203.0.113.9", "10.0.0.1", "172.17.0.1",
		"192.168.1.1", "100.64.0.1", "169.254.1.1", "127.0.0.1", "::1", "fd00::1", "fe80::1%eth0", "224.0.0.1", "0.0.0.0"} {
		fail(b, client, 10)
		if refused(b, client) {
			t.Errorf("%s is banned by a rule", client)
		}
		p, err := rhumb.ParseClient(strings.TrimSuffix(client, "%eth0"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: p}); rhumb.ErrorCode(err) != rhumb.Denied {
			t.Errorf("%s is banned by hand: %v", client, err)
		}
	}
	for _, r := range []string{"198.51.0.0/16", "203.0.113.0/24", "0.0.0.0/0", "::/0"} {
		p := netip.MustParsePrefix(r)
		if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: p, Private: true}); rhumb.ErrorCode(err) != rhumb.Denied {
			t.Errorf("%s is banned by hand: %v", r, err)
		}
	}
	private := loginRules()
	private.Private = true
	b.Serve(tableOf(private))
	fail(b, "10.0.0.1", 3)
	if !refused(b, "10.0.0.1") {
		t.Error("a private network isn't banned, although the rules ask for it")
	}
}

func TestABanOfAUsersAddressEnds(t *testing.T) {
	b := newBook(t, Options{})
	fail(b, "203.0.113.7", 3)
	if err := b.Spare(t.Context(), netip.MustParseAddr("203.0.113.7")); err != nil || refused(b, "203.0.113.7") {
		t.Errorf("%v, and it is still banned", err)
	}
	fail(b, "203.0.113.7", 3)
	if refused(b, "203.0.113.7") {
		t.Error("it is banned again")
	}
	if a, err := b.WhyBanned(t.Context(), netip.MustParseAddr("203.0.113.7")); err != nil || a.Spared != isUsers {
		t.Errorf("the reason is %+v, %v", a, err)
	}
}

func TestLinesOfLogsCountByTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) // the clock of the test begins at a round time
		b := newBook(t, Options{})
		now := time.Now()
		match := func(client string, rule string, ages ...time.Duration) {
			for _, age := range ages {
				if err := b.ReportMatches(t.Context(), []rhumb.BanMatch{{Stack: "shop", Service: "web", Rule: rule,
					Client: netip.MustParseAddr(client), At: now.Add(-age)}}); err != nil {
					t.Error(err)
				}
			}
		}
		match("203.0.113.1", "mail", 2*time.Second, time.Second)
		match("203.0.113.2", "mail", 2*time.Hour, time.Hour, time.Second)
		match("203.0.113.3", "other", 2*time.Second, time.Second)
		match("203.0.113.4", "mail", -time.Hour, -2*time.Hour)
		for client, want := range map[string]bool{"203.0.113.1": true, "203.0.113.2": false, "203.0.113.3": false,
			"203.0.113.4": true} {
			if got := refused(b, client); got != want {
				t.Errorf("%s is banned: %v, want %v", client, got, want)
			}
		}
	})
}

func TestRulesAreOnlyObservedWhereThatIsAsked(t *testing.T) {
	b := newBook(t, Options{Observe: func(backend string) bool { return backend == "shop/web:80" }})
	fail(b, "203.0.113.7", 10)
	if refused(b, "203.0.113.7") {
		t.Error("it is banned")
	}
}

func TestBansSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := newBook(t, Options{Dir: dir})
		stop := run(t, b)
		fail(b, "203.0.113.7", 3)
		time.Sleep(time.Second) // the later one is listed first
		if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: netip.MustParsePrefix("203.0.114.9/24"), By: "ada",
			Reason: "noise"}); err != nil {
			t.Fatal(err)
		}
		if err := b.Spare(t.Context(), netip.MustParseAddr("203.0.113.9")); err != nil {
			t.Fatal(err)
		}
		before, _ := b.Bans(t.Context())
		stop()
		again := newBook(t, Options{Dir: dir})
		after, _ := again.Bans(t.Context())
		was, _ := json.Marshal(before) // without the clocks of the process
		is, _ := json.Marshal(after)
		if len(after) != 2 || string(was) != string(is) {
			t.Errorf("after a restart there are\n%s, not\n%s", is, was)
		}
		if !refused(again, "203.0.114.1") {
			t.Error("a range isn't banned after a restart")
		}
		fail(again, "203.0.113.9", 3)
		if refused(again, "203.0.113.9") {
			t.Error("an address of a user isn't spared after a restart")
		}
		defer run(t, again)()
		time.Sleep(2 * time.Minute) // the ban ends, and is remembered
		fail(again, "203.0.113.7", 3)
		if list, _ := again.Bans(t.Context()); list[0].Until.Sub(list[0].Since) != 2*time.Minute {
			t.Errorf("the earlier ban is forgotten: %+v", list[0])
		}
	})
}

func TestADamagedFileOfBansIsSetAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(`{"Bans":[{]`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBook(t, Options{Dir: dir})
	fail(b, "203.0.113.7", 3)
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "bans.json.*.bad"))
	if err != nil || len(kept) != 1 {
		t.Errorf("set aside are %v, %v", kept, err)
	}
}

func TestARestingBookFollowsItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		old := newBook(t, Options{Dir: dir})
		defer run(t, old)()
		fail(old, "203.0.113.7", 3)
		old.Rest()
		next := newBook(t, Options{Dir: dir})
		defer run(t, next)()
		if !refused(next, "203.0.113.7") {
			t.Error("the successor doesn't know the ban")
		}
		fail(next, "203.0.113.8", 3)
		if _, err := next.Unban(t.Context(), netip.MustParsePrefix("203.0.113.7/32")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if refused(old, "203.0.113.7") || !refused(old, "203.0.113.8") {
			t.Error("the old book doesn't follow")
		}
		fail(old, "203.0.113.9", 3) // it isn't the old one's to write any more
		time.Sleep(2 * time.Second)
		if again := newBook(t, Options{Dir: dir}); refused(again, "203.0.113.9") {
			t.Error("the old book has written the file")
		}
	})
}

func TestUnbanningEndsWhatIsInARange(t *testing.T) {
	b := newBook(t, Options{})
	for _, c := range []string{"203.0.113.7", "203.0.113.8", "203.0.114.1"} {
		fail(b, c, 3)
	}
	ended, err := b.Unban(t.Context(), netip.MustParsePrefix("203.0.113.0/24"))
	if err != nil || len(ended) != 2 || refused(b, "203.0.113.7") || !refused(b, "203.0.114.1") {
		t.Errorf("ended are %v, %v", ended, err)
	}
	if _, err := b.Unban(t.Context(), netip.MustParsePrefix("203.0.113.7/32")); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("a ban that isn't there: %v", err)
	}
	if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: netip.MustParsePrefix("203.0.115.0/24")}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Unban(t.Context(), netip.MustParsePrefix("203.0.115.7/32"))
	if rhumb.ErrorCode(err) != rhumb.NotFound || !strings.Contains(rhumb.ErrorHint(err), "203.0.115.0/24") {
		t.Errorf("an address in a banned range: %v, %s", err, rhumb.ErrorHint(err))
	}
}

func TestWhatIsKnownOfAnAddressIsShown(t *testing.T) {
	b := newBook(t, Options{})
	a := netip.MustParseAddr("203.0.113.7")
	fail(b, "203.0.113.7", 2)
	answer, err := b.WhyBanned(t.Context(), a)
	if err != nil || answer.Ban != nil || len(answer.Counts) != 1 || answer.Counts[0].Matches != 2 ||
		answer.Counts[0].Rule != "login" {
		t.Errorf("before the ban: %+v, %v", answer, err)
	}
	fail(b, "203.0.113.7", 1)
	refused(b, "203.0.113.7")
	answer, err = b.WhyBanned(t.Context(), a)
	if err != nil || answer.Ban == nil || answer.Ban.Refused != 1 ||
		answer.Ban.Reason != "3 requests matched login within 1m0s" {
		t.Errorf("after the ban: %+v, %v", answer.Ban, err)
	}
}

func TestNewsAreNumberedAndAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, Options{})
		begin := time.Now()
		if notes, err := b.BanNews(t.Context(), 0); err != nil || len(notes) > 0 || time.Since(begin) != newsTime {
			t.Errorf("without news: %v, %v after %s", notes, err, time.Since(begin))
		}
		got := make(chan []rhumb.BanNote)
		go func() {
			notes, _ := b.BanNews(t.Context(), 0)
			got <- notes
		}()
		synctest.Wait()
		fail(b, "203.0.113.7", 3)
		first := <-got
		if len(first) != 1 || first[0].Ban.Rule != "login" || first[0].Ended {
			t.Fatalf("the news are %+v", first)
		}
		if _, err := b.Unban(rhumb.WithActor(t.Context(), rhumb.Actor{Name: "ada"}),
			netip.MustParsePrefix("203.0.113.7/32")); err != nil {
			t.Fatal(err)
		}
		second, err := b.BanNews(t.Context(), first[0].Number)
		if err != nil || len(second) != 1 || !second[0].Ended || second[0].By != "ada" {
			t.Errorf("the next news are %+v, %v", second, err)
		}
	})
}

func TestDecisionsOfAnotherSystemAreItsOwn(t *testing.T) {
	b := newBook(t, Options{})
	fail(b, "203.0.113.7", 3)
	until := time.Now().Add(time.Hour)
	decide := func(all bool, gone []string, made ...string) int {
		var ds []Decision
		var ps []netip.Prefix
		for _, m := range made {
			ds = append(ds, Decision{Client: netip.MustParsePrefix(m), Until: until, Reason: "ssh"})
		}
		for _, g := range gone {
			ps = append(ps, netip.MustParsePrefix(g))
		}
		return b.Decide("crowdsec", ds, ps, all)
	}
	if spared := decide(true, nil, "203.0.113.7/32", "203.0.113.8/32", "203.0.114.0/24", "10.0.0.1/32"); spared != 1 {
		t.Errorf("%d decisions are about clients that are never banned, want 1", spared)
	}
	for client, want := range map[string]bool{"203.0.113.8": true, "203.0.114.200": true, "10.0.0.1": false} {
		if refused(b, client) != want {
			t.Errorf("%s is banned: %v", client, !want)
		}
	}
	decide(false, []string{"203.0.113.7/32", "203.0.113.8/32"})
	if !refused(b, "203.0.113.7") || refused(b, "203.0.113.8") || !refused(b, "203.0.114.1") {
		t.Error("a decision that is gone has ended the wrong bans")
	}
	decide(true, nil, "203.0.115.1/32")
	if !refused(b, "203.0.113.7") || refused(b, "203.0.114.1") || !refused(b, "203.0.115.1") {
		t.Error("all decisions have ended the wrong bans")
	}
}

func TestANilBookBansNoClient(t *testing.T) {
	var b *Book
	fail(b, "203.0.113.7", 10)
	if refused(b, "203.0.113.7") || b.Any() || b.Counts("shop/web:80") {
		t.Error("it does something")
	}
}

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
			b.begin(rhumb.Ban{Client: p}, nil)
		case 1:
			if len(all) > 0 {
				i := r.IntN(len(all))
				p := all[i]
				b.end(p, func(ban rhumb.Ban) bool { return ban.Client == p })
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
		b.begin(rhumb.Ban{Client: clientOf(a), Until: now.Add(time.Hour + time.Duration(i))}, nil)
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
		b.begin(rhumb.Ban{Client: clientOf(a)}, nil)
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
	q := Request{as[0], "GET", "/products/wp-7", 200}
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
	q := Request{netip.MustParseAddr("203.0.113.7"), "GET", "/", 200}
	for b.Loop() {
		book.Note("shop/web:80", q)
	}
}

func BenchmarkNoteWithReadyMadeRules(b *testing.B) {
	book := New(Options{})
	book.Serve(tableOf(readyMade()))
	q := Request{netip.MustParseAddr("203.0.113.7"), "GET", "/products/17/pictures/large", 200}
	for b.Loop() {
		book.Note("shop/web:80", q)
	}
}
