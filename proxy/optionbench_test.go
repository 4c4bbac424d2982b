package proxy_test

import (
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// BenchmarkOptions says what a small request costs on a route without options, beside routes that have some, and with
// each kind of them.
func BenchmarkOptions(b *testing.B) {
	field := rhumb.HeaderChanges{Set: []rhumb.HeaderField{{Name: "X-Tenant", Value: "acme"}}}
	for _, c := range []struct {
		name    string
		options *rhumb.RouteOptions
		sticky  bool
	}{
		{"none", nil, false},
		{"fields", &rhumb.RouteOptions{Request: field, Response: field}, false},
		{"path", &rhumb.RouteOptions{Strip: true}, false},
		{"pages", &rhumb.RouteOptions{Pages: []rhumb.ErrorPage{{Status: 5, File: sorryPage}}, Replace: true}, false},
		{"timeouts", &rhumb.RouteOptions{Timeouts: rhumb.Timeouts{Header: time.Minute, Idle: time.Minute}}, false},
		{"buffer", &rhumb.RouteOptions{Buffer: rhumb.Buffer{Response: 64 << 10}}, false},
		{"compress", &rhumb.RouteOptions{Compress: true}, false}, // but the answer is too small for it
		{"sticky", nil, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			turn := optionTurns(b, c.options, c.sticky)
			b.ReportAllocs()
			for b.Loop() {
				turn()
			}
		})
	}
}

// optionTurns sends requests to a route with options, beside another that asks for a password; see turns.
func optionTurns(t testing.TB, o *rhumb.RouteOptions, sticky bool) func() {
	t.Helper()
	p, addr := start(t, proxy.Options{RouteFiles: routeFiles(t)}), freeAddr(t)
	auth := &rhumb.RouteOptions{Auth: &rhumb.BasicAuth{Realm: "team", Users: usersFile}}
	table := routed(1, addr, "/admin", auth, slotted(canned(t, smallAnswer), 1, 1))
	table.Backends[0].Sticky = sticky
	set := rhumb.OptionsOf(o)
	rule := rhumb.Rule{Host: "shop.test", Path: "/cart", Backend: table.Backends[0].Name, Options: set.ID}
	table.Rules = append(table.Rules, rule)
	if set.ID != "" {
		table.Options = append(table.Options, set)
	}
	apply(t, p, table)
	turn := turns(t, addr)
	for range 100 {
		turn()
	}
	return turn
}

func TestARouteWithoutOptionsPaysForNoneOfOthers(t *testing.T) {
	if standardHTTP {
		t.Skip("the standard library allocates")
	}
	if n := testing.AllocsPerRun(2000, optionTurns(t, nil, false)); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
}
