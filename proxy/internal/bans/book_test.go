package bans

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
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
	return rhumb.Table{Version: 1, Backends: []rhumb.Backend{{Name: "shop/web:80", Stack: "shop", Service: "web",
		Bans: b}}}
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
			{Method: "GET", Path: "/login", Status: 401}, {Method: "POST", Path: "/log", Status: 401},
			{Method: "POST", Path: "/login", Status: 200}, {},
		} {
			q.Client = a
			b.Note("shop/web:80", q)
		}
		b.Note("shop/other:80", Request{Client: a, Method: "POST", Path: "/login", Status: 401})
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
			time.Sleep(50 * time.Second)
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
	if a, err := b.WhyBanned(t.Context(), netip.MustParseAddr("10.0.0.1")); err != nil || a.Spared != "" {
		t.Errorf("the banned client is said to be spared: %q (%v)", a.Spared, err)
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

func TestABanOfARangeEndsWhenRhumbIsUsedFromIt(t *testing.T) {
	b := newBook(t, Options{})
	for _, p := range []string{"203.0.113.0/24", "203.0.0.0/16", "198.51.100.0/24"} {
		if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: netip.MustParsePrefix(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Spare(t.Context(), netip.MustParseAddr("203.0.113.7")); err != nil {
		t.Fatal(err)
	}
	for client, want := range map[string]bool{"203.0.113.7": false, "203.0.1.1": false, "198.51.100.1": true} {
		if got := refused(b, client); got != want {
			t.Errorf("%s is refused: %v, want %v", client, got, want)
		}
	}
}

func TestABanOfAnAddressThatTheMachineGetsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, Options{})
		own := *b.spared.own.Load()
		i := slices.IndexFunc(own, netip.Addr.Is4)
		if i < 0 {
			t.Skip("this machine has no address of IPv4")
		}
		b.spared.own.Store(&[]netip.Addr{}) // as before the machine had it
		if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: clientOf(own[i]), Private: true}); err != nil {
			t.Fatal(err)
		}
		defer run(t, b)()
		time.Sleep(lookEvery + time.Second)
		if refused(b, own[i].String()) {
			t.Error("the machine's own address is banned")
		}
	})
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

func TestAnAddressThatNearlyAllClientsShareIsNotBanned(t *testing.T) {
	b := newBook(t, Options{})
	const network = "172.68.1.7" // of a content network
	for i := range 40 {
		b.Note("shop/web:80", Request{Client: netip.MustParseAddr(network), Browser: fmt.Sprint("browser ", i), Status: 200})
	}
	fail(b, network, 10)
	fail(b, "203.0.113.8", 3)
	if refused(b, network) || !refused(b, "203.0.113.8") {
		t.Error("the wrong client is banned")
	}
	b.Serve(tableOf(loginRules()))
	if fail(b, network, 10); refused(b, network) {
		t.Error("another table forgets what clients share")
	}
}

func TestANilBookBansNoClient(t *testing.T) {
	var b *Book
	fail(b, "203.0.113.7", 10)
	if refused(b, "203.0.113.7") || b.Any() || b.Counts("shop/web:80") {
		t.Error("it does something")
	}
}
