package rate

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"rhumb"
)

// caller is a request of a test.
type caller struct {
	header http.Header
	route  string
}

// Header implements Asked.
func (c *caller) Header(name string) string { return c.header.Get(name) }

// Route implements Asked.
func (c *caller) Route() string { return c.route }

// world has the limits of one backend, and a clock.
type world struct {
	*testing.T
	book *Book
	set  *Set
	now  time.Time
}

func limited(t *testing.T, limits ...rhumb.Limit) *world {
	w := &world{T: t, book: NewBook(), now: time.Now()}
	w.become(limits...)
	return w
}

// become has the backend have these limits from now on.
func (w *world) become(limits ...rhumb.Limit) {
	w.book = w.book.Next([]rhumb.Backend{{Name: "b", Limits: limits}, {Name: "unlimited"}})
	w.set = w.book.Of("b")
}

// ask sends a request, and returns its pass and the status of its refusal; 0: it may pass.
func (w *world) ask(client string, q Request) (*Pass, int) {
	w.Helper()
	q.Client = netip.MustParseAddr(client)
	if q.Asked == nil {
		q.Asked = &caller{}
	}
	p := &Pass{}
	no, ok := w.set.Admit(p, w.now, q)
	if ok {
		return p, 0
	}
	return p, no.Status
}

// passes returns how many of n requests at the same moment pass.
func (w *world) passes(n int, client string, q Request) (passed int) {
	w.Helper()
	for range n {
		if _, status := w.ask(client, q); status == 0 {
			passed++
		}
	}
	return passed
}

func (w *world) want(what string, got, want int) {
	w.Helper()
	if got != want {
		w.Errorf("%s: %d, want %d", what, got, want)
	}
}

var twoASecond = rhumb.Limit{Rate: rhumb.Rate{Count: 2, Per: time.Second}, Burst: 4}

func TestEachClientHasItsRateAndItsBurst(t *testing.T) {
	w := limited(t, twoASecond)
	w.want("at once", w.passes(10, "192.0.2.1", Request{}), 5)
	w.want("another client", w.passes(10, "192.0.2.2", Request{}), 5)
	w.want("the same client, mapped into IPv6", w.passes(10, "::ffff:192.0.2.1", Request{}), 0)
	w.now = w.now.Add(time.Second)
	w.want("a second later", w.passes(10, "192.0.2.1", Request{}), 2)
	w.now = w.now.Add(time.Hour)
	w.want("an hour later", w.passes(10, "192.0.2.1", Request{}), 5)
	if got := w.set.stats(w.now); got.Refused != 33 || got.Observed != 0 {
		t.Errorf("counted: %+v", got)
	}
}

func TestNetworksOfIPv6AreClients(t *testing.T) {
	w := limited(t, twoASecond)
	passed := 0
	for i := range 20 {
		passed += w.passes(1, fmt.Sprintf("2001:db8:1:1::%x", i+1), Request{})
	}
	w.want("addresses of one network of 64 bits", passed, 5)
	passed = 0
	for i := range 100 {
		passed += w.passes(5, fmt.Sprintf("2001:db8:2:%x::1", i+1), Request{})
	}
	w.want("networks of 64 bits in one of 48 bits", passed, 40)
	w.want("another network of 48 bits", w.passes(10, "2001:db8:3::1", Request{}), 5)
}

func TestALimitCountsByWhatItSays(t *testing.T) {
	byRoute, byKey := twoASecond, twoASecond
	byRoute.By, byKey.By = rhumb.ByRoute, rhumb.ByHeader+"X-Key"
	w := limited(t, byRoute)
	w.want("by route", w.passes(4, "192.0.2.1", Request{})+w.passes(4, "192.0.2.2", Request{}), 5)
	w = limited(t, byKey)
	of := func(key string) Request { return Request{Asked: &caller{header: http.Header{"X-Key": {key}}}} }
	w.want("one key", w.passes(4, "192.0.2.1", of("a"))+w.passes(4, "192.0.2.2", of("a")), 5)
	w.want("another key", w.passes(9, "192.0.2.1", of("b")), 5)
	w.want("no key: the client", w.passes(9, "192.0.2.1", Request{}), 5)
	w.want("no key: another client", w.passes(9, "192.0.2.2", of("")), 5)
}

func TestALimitIsForItsPathsAndRoutes(t *testing.T) {
	login := twoASecond
	login.Paths = []string{"/login", "/wp-*"}
	w := limited(t, login)
	for _, path := range []string{"/", "/logins", "/a/login", "/wp", "", "/log"} {
		w.want(path, w.passes(9, "192.0.2.1", Request{Path: path}), 9)
	}
	passed := 0
	for _, path := range []string{"/login", "/login/", "//login", "/./login", "/a/../login", "/login/now", "/login;id=1",
		"\\login", "/a\\..\\login", "/%6cogin",
		"/login;id=1/now", "/;x/login", "/wp-admin", "/wp-login.php/x", "/wp-"} {
		passed += w.passes(1, "192.0.2.1", Request{Path: path})
	}
	w.want("ways to write a limited path", passed, 5)
	all := twoASecond
	all.Paths, all.Route = []string{"/"}, "shop.test/v1"
	w = limited(t, all)
	w.want("another route", w.passes(9, "192.0.2.1", Request{Path: "/a"}), 9)
	q := Request{Path: "/a", Asked: &caller{route: "shop.test/v1"}}
	w.want("its route", w.passes(9, "192.0.2.1", q), 5)
}

func TestConnectionsAreCountedUntilTheyEnd(t *testing.T) {
	w := limited(t, rhumb.Limit{Connections: 3})
	var passes []*Pass
	for range 3 {
		p, status := w.ask("192.0.2.1", Request{})
		w.want("a place", status, 0)
		passes = append(passes, p)
	}
	_, status := w.ask("192.0.2.1", Request{})
	w.want("no place", status, 429)
	passes[0].End()
	passes[0].End()
	w.want("after one has ended", w.passes(3, "192.0.2.1", Request{}), 1)
	w = limited(t, rhumb.Limit{Connections: 2})
	passed := 0
	for i := range 100 {
		passed += w.passes(2, fmt.Sprintf("2001:db8:2:%x::1", i), Request{})
	}
	w.want("in a network of 48 bits", passed, 2*Wide)
}

func TestARefusedRequestCountsNowhere(t *testing.T) {
	slow := rhumb.Limit{Rate: rhumb.Rate{Count: 1, Per: time.Minute}, By: rhumb.ByRoute}
	w := limited(t, twoASecond, rhumb.Limit{Connections: 1, By: rhumb.ByRoute}, slow)
	p, status := w.ask("192.0.2.1", Request{})
	w.want("the first", status, 0)
	w.want("more", w.passes(50, "192.0.2.2", Request{}), 0)
	p.End()
	w.become(twoASecond)
	w.want("the client's own limit is untouched", w.passes(9, "192.0.2.2", Request{}), 5)
}

func TestALimitThatObservesRefusesNothing(t *testing.T) {
	observing := twoASecond
	observing.Observe, observing.Body = true, 10
	w := limited(t, observing, rhumb.Limit{Connections: 7})
	w.want("at once", w.passes(9, "192.0.2.1", Request{}), 7)
	w.want("a large body", w.passes(1, "192.0.2.2", Request{Length: 11}), 1)
	if got := w.set.stats(w.now); got.Refused != 2 || got.Observed != 5 {
		t.Errorf("counted: %+v", got)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	w := limited(t, rhumb.Limit{Body: 100}, rhumb.Limit{Body: 50, Paths: []string{"/small"}})
	for _, c := range []struct {
		path   string
		length int64
		status int
		body   int64
	}{{"/", 100, 0, 0}, {"/", 101, 413, 0}, {"/small", 51, 413, 0}, {"/", -1, 0, 100}, {"/small", -1, 0, 50}} {
		p, status := w.ask("192.0.2.1", Request{Path: c.path, Length: c.length})
		w.want(c.path, status, c.status)
		w.want("bytes", int(p.Body), int(c.body))
	}
}

func TestARefusalSaysWhenToComeBack(t *testing.T) {
	w := limited(t, rhumb.Limit{Connections: 9}, twoASecond)
	w.passes(5, "192.0.2.1", Request{})
	no, ok := w.set.Admit(&Pass{}, w.now, Request{Client: netip.MustParseAddr("192.0.2.1"), Asked: &caller{}})
	if ok || no.Wait != 500*time.Millisecond || no.RetryAfter() != 1 || no.Policy != `"client-2";q=5;w=3` ||
		no.State() != `"client-2";r=0;t=1` {
		t.Errorf("%+v: %s, %s", no, no.Policy, no.State())
	}
	w = limited(t, rhumb.Limit{Connections: 1, Status: 503, By: rhumb.ByRoute})
	w.passes(1, "192.0.2.1", Request{})
	no, ok = w.set.Admit(&Pass{}, w.now, Request{Client: netip.MustParseAddr("192.0.2.2"), Asked: &caller{}})
	if ok || no.Status != 503 || no.Policy != `"route";q=1;qu="concurrent-requests"` {
		t.Errorf("%+v: %s", no, no.Policy)
	}
}

func TestConnectionsOfTCPHaveOnlySomeLimits(t *testing.T) {
	login, key := twoASecond, twoASecond
	login.Paths, key.By = []string{"/login"}, rhumb.ByHeader+"X-Key"
	w := limited(t, login, key, twoASecond)
	client := netip.MustParseAddr("192.0.2.1")
	passed := 0
	for range 9 {
		if _, ok := w.set.Admit(&Pass{}, w.now, Request{Client: client}); ok {
			passed++
		}
	}
	w.want("connections", passed, 5)
}

func TestLimitsOutliveTheirTable(t *testing.T) {
	w := limited(t, twoASecond)
	w.passes(9, "192.0.2.1", Request{})
	softer := twoASecond
	softer.Status, softer.Body = 503, 1<<20
	w.become(rhumb.Limit{Connections: 99}, softer)
	_, status := w.ask("192.0.2.1", Request{})
	w.want("the bucket is still full", status, 503)
	if got := w.set.stats(w.now); got.Refused != 5 || got.Since.IsZero() {
		t.Errorf("counted: %+v", got)
	}
	before := w.set
	w.become(rhumb.Limit{Connections: 99}, softer)
	if w.set != before {
		t.Error("limits that stay the same were made again")
	}
	faster := twoASecond
	faster.Burst = 8
	w.become(faster)
	w.want("another limit begins empty", w.passes(20, "192.0.2.1", Request{}), 9)
	w.become()
	if w.set != nil || !w.book.budget.Take(places) {
		t.Errorf("what is left: %v, or not all places are", w.set)
	}
}

func TestLimitsRefuseUntilAMinuteHasPassed(t *testing.T) {
	w := limited(t, twoASecond)
	w.passes(5, "192.0.2.1", Request{})
	since := func() time.Time { return w.set.stats(w.now).Since }
	if !since().IsZero() {
		t.Error("nothing was refused yet")
	}
	began := w.now
	for range 3 {
		w.passes(9, "192.0.2.1", Request{})
		if !since().Equal(time.Unix(0, began.UnixNano())) {
			t.Errorf("since %v, want %v", since(), began)
		}
		w.now = w.now.Add(50 * time.Second)
	}
	if w.now = w.now.Add(Spell); !since().IsZero() {
		t.Error("they refuse for more than a minute after the last")
	}
}

func TestASharedAddressIsOnlyObserved(t *testing.T) {
	byRoute := rhumb.Limit{Rate: rhumb.Rate{Count: 50, Per: time.Minute}, By: rhumb.ByRoute}
	w := limited(t, twoASecond, byRoute)
	from := func(browser string) Request {
		return Request{Asked: &caller{header: http.Header{"User-Agent": {browser}}}}
	}
	for i := range 25 {
		w.passes(1, "172.17.0.1", from(fmt.Sprint("browser ", i)))
		w.now = w.now.Add(time.Minute)
	}
	if got := w.set.stats(w.now).Shared; got != "172.17.0.1" {
		t.Fatalf("shared: %q", got)
	}
	w.want("from there, what the whole route may have", w.passes(90, "172.17.0.1", from("browser 1")), 1)
	w.now = w.now.Add(time.Hour)
	w.want("from elsewhere", w.passes(9, "192.0.2.1", from("browser 1")), 1)
	w.become(twoASecond, rhumb.Limit{Body: 10})
	w.want("a large body", w.passes(1, "172.17.0.1", Request{Length: 11}), 0)
	w.want("from there", w.passes(90, "172.17.0.1", from("browser 1")), 90)
	w.want("from elsewhere", w.passes(90, "192.0.2.2", from("browser 1")), 5)
}

func TestAdmittingAllocatesNothing(t *testing.T) {
	login := twoASecond
	login.Paths = []string{"/login"}
	w := limited(t, twoASecond, login, rhumb.Limit{Connections: 2})
	var p Pass
	c := &caller{header: http.Header{"User-Agent": {"curl"}}}
	q := Request{Client: netip.MustParseAddr("2001:db8::1"), Path: "/login", Asked: c}
	n := testing.AllocsPerRun(1000, func() {
		w.now = w.now.Add(100 * time.Millisecond)
		w.set.Admit(&p, w.now, q)
		p.End()
	})
	if n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
}

// BenchmarkAdmit measures a request that is admitted, of one of a million clients, and one that is refused.
func BenchmarkAdmit(b *testing.B) {
	for _, count := range []int{1, 1000000} {
		b.Run(fmt.Sprintf("rate=%d", count), func(b *testing.B) {
			limit := rhumb.Limit{Rate: rhumb.Rate{Count: count, Per: time.Second}}
			set := NewBook().Next([]rhumb.Backend{{Name: "b", Limits: []rhumb.Limit{limit}}}).Of("b")
			c := &caller{header: http.Header{"User-Agent": {"curl"}}}
			var p Pass
			now, n := time.Now(), uint32(0)
			b.ReportAllocs()
			for b.Loop() {
				n = (n + 7919) % 1_000_000
				client := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
				set.Admit(&p, now, Request{Client: client, Path: "/", Asked: c})
			}
		})
	}
}
