package chain

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/bcrypt"

	"rhumb/internal/htpasswd"
)

// line returns the line of a user, with a hash that is quick to check.
func line(t testing.TB, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + string(hash)
}

func gateOf(t testing.TB, lines ...string) *gate {
	t.Helper()
	users, err := htpasswd.Parse([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return newGate(users, "r", newChecks())
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

var someone = netip.MustParseAddr("192.0.2.1")

func TestOnlyUsersWithTheirPasswordComeIn(t *testing.T) {
	g := gateOf(t, line(t, "ann", "apple"), line(t, "bob", "p:a"))
	good := basic("ann", "apple")
	for _, c := range []struct {
		field string
		want  outcome
	}{
		{good, passed}, {"basic" + good[5:], passed}, {"Basic  " + good[6:], passed}, {basic("bob", "p:a"), passed},
		{"", refused}, {"Basic", refused}, {"Basic ", refused}, {"Bearer " + good[6:], refused}, {good + "A", refused},
		{basic("ann", "pear"), refused}, {basic("eve", "apple"), refused}, {basic("", ""), refused},
		{"Basic " + base64.StdEncoding.EncodeToString([]byte("ann")), refused},
		{"Basic " + strings.Repeat("QUFB", 1000), refused}, {basic("ann\x00", "apple"), refused},
		{basic("ann", "apple\x00"), refused}, {"Basic !!!!", refused},
	} {
		for range 2 { // the second time from memory
			user, got := g.enter(someone, c.field)
			if got != c.want || (got == passed) != (user != "") {
				t.Errorf("%q: %v, user %q", c.field, got, user)
			}
		}
	}
}

func TestAPasswordIsCheckedOnce(t *testing.T) {
	g := gateOf(t, line(t, "ann", "apple"))
	g.checks.places = make(chan struct{}, 1)
	var clients sync.WaitGroup
	for range 20 { // as a browser asks for the parts of a page
		clients.Go(func() {
			if _, out := g.enter(someone, basic("ann", "apple")); out != passed {
				t.Errorf("got %v", out)
			}
		})
	}
	clients.Wait()
	g.checks.places <- struct{}{} // no more checks are possible
	for range 3 {
		if _, out := g.enter(someone, basic("ann", "apple")); out != passed {
			t.Error("the password is checked again")
		}
	}
	if len(g.known) != 1 || len(g.wrong) != 0 || len(g.now) != 0 {
		t.Errorf("%d right, %d wrong, %d under way", len(g.known), len(g.wrong), len(g.now))
	}
}

func TestMemoryOfPasswordsIsBounded(t *testing.T) {
	g := gateOf(t, line(t, "ann", "apple"))
	for i := range 3 * maxWrong {
		g.remember(g.pair("ann", fmt.Sprint(i)), refused)
	}
	g.remember(g.pair("ann", "apple"), passed)
	for i := range maxWrong {
		g.remember(g.pair("eve", fmt.Sprint(i)), refused)
	}
	if len(g.wrong) != maxWrong || !g.known[g.pair("ann", "apple")] {
		t.Errorf("%d wrong ones; the right one is known: %t", len(g.wrong), g.known[g.pair("ann", "apple")])
	}
	for i := range 2 * maxKnown {
		g.remember(g.pair("bob", fmt.Sprint(i)), passed)
	}
	if len(g.known) != maxKnown {
		t.Errorf("%d right ones", len(g.known))
	}
}

func TestPairsWithTheSameLettersDiffer(t *testing.T) {
	g := gateOf(t, line(t, "ann", "apple"))
	if g.pair("ab", "c") == g.pair("a", "bc") {
		t.Error("a name's end can be a password's beginning")
	}
	if g.pair("a", "b") == gateOf(t, line(t, "ann", "apple")).pair("a", "b") {
		t.Error("another gate has the same key")
	}
}

func TestAFloodOfPasswordsLeavesPlacesToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecks()
		c.places = make(chan struct{}, 1)
		count := func() (all, clients int) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.all, len(c.of)
		}
		flood := netip.MustParseAddr("2001:db8::1")
		if !c.enter(flood) {
			t.Fatal("the first check has no place")
		}
		var waiting sync.WaitGroup
		turned := make(chan bool, 100)
		for i := range 50 { // from one network
			a := flood.As16()
			a[15] = byte(i)
			waiting.Go(func() { turned <- c.enter(netip.AddrFrom16(a)) })
		}
		synctest.Wait()
		if n, _ := count(); n != maxOfOneClient {
			t.Errorf("%d checks of one client", n)
		}
		for i := range 200 {
			waiting.Go(func() { turned <- c.enter(netip.AddrFrom4([4]byte{192, 0, byte(i), 1})) })
		}
		synctest.Wait()
		if n, _ := count(); n != maxChecks {
			t.Errorf("%d checks in all", n)
		}
		go func() { // drains what is reported
			for range turned {
			}
		}()
		waiting.Wait() // none has its turn in time
		close(turned)
		if n, _ := count(); n != 1 {
			t.Errorf("%d checks after all have given up", n)
		}
		c.leave(flood)
		if n, clients := count(); n != 0 || clients != 0 {
			t.Errorf("%d checks, of %d clients", n, clients)
		}
	})
}
