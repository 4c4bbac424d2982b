package rollout

import (
	"testing"
	"time"

	"rhumb"
)

// stale returns the world with stale service addresses. failed: an attempt to update them has failed.
func (o world) stale(failed bool) world {
	o.StaleAddresses, o.AddressesFailed = true, failed
	return o
}

// staleNames returns the world in which the hosts files of these replicas are out of date.
func (o world) staleNames(ids ...string) world {
	o.StaleNames = map[string]bool{}
	for _, id := range ids {
		o.StaleNames[id] = true
	}
	return o
}

func TestADeploymentWaitsForServiceAddresses(t *testing.T) {
	one, two := stack(web(1, "a")), stack(web(1, "b"))
	w, done := deploy(42, one, two), deploy(41, one, one)
	const address, start = "address services of shop", "start shop-web.42.1 (image changed)"
	lost := w
	lost.Failures = []rhumb.Failure{{At: noon, Release: 42, Reason: "the proxy refuses them"}}
	down := Wanted{Stack: "shop", Previous: one, Mode: Deploy}
	const drain = "drain shop-web.41.1 (everything is removed)"
	checkAll(t, []look{
		{name: "at first", w: w, o: serving(41, one).stale(false), want: []string{address}},
		{name: "after each failure", w: w, o: serving(41, one).stale(true), want: []string{address}},
		{name: "until they are up to date", w: w, o: serving(41, one), want: []string{start}},
		{name: "or given up", w: lost, o: serving(41, one).stale(true), fail: "the proxy refuses them",
			left: []string{"shop-web.42.1: isn't ready"}},
		{name: "it doesn't converge without them", w: done, o: serving(41, one).stale(true), want: []string{address}},
		{name: "it converges with them", w: done, o: serving(41, one), done: true},
		{name: "a down tries them first", w: down, o: serving(41, one).stale(false), want: []string{address}},
		{name: "and goes on without them", w: down, o: serving(41, one).stale(true), want: []string{drain, address}},
	})
}

func TestAStackIsHeldWithoutServiceAddresses(t *testing.T) {
	one, two := stack(web(1, "a")), stack(web(1, "b"))
	hold := Wanted{Stack: "shop", Release: 41, Model: one, Mode: Hold}
	back := Wanted{Stack: "shop", Release: 41, Model: one, Previous: two, Mode: Restore}
	const address = "address services of shop"
	gone := func() world { o := serving(41, one); o.Replicas = nil; return o }
	checkAll(t, []look{
		{name: "they are tried before anything else", w: hold, o: gone().stale(false), want: []string{address}},
		{name: "then it is healed beside them", w: hold, o: gone().stale(true),
			want: []string{"start shop-web.41.1 (missing)", address}},
		{name: "putting back tries them first", w: back, o: gone().stale(false), want: []string{address}},
		{name: "then it goes on beside them", w: back, o: gone().stale(true),
			want: []string{"start shop-web.41.1 (back to shop@41)", address}},
		{name: "it is put back without them", w: back, o: serving(41, one).stale(true), done: true,
			want: []string{address}},
	})
}

func TestNamesDelayNothing(t *testing.T) {
	one, two := stack(web(1, "a")), stack(web(1, "b"))
	w := deploy(42, one, two)
	const name, named = "name services for shop-web.41.1", "name services for shop-web.42.1"
	lost := Wanted{Stack: "shop", Release: 41, Model: one, Previous: two, Mode: Restore}
	for i := range 4 {
		lost.Failures = append(lost.Failures, rhumb.Failure{At: noon.Add(-time.Hour), Service: "web", Slot: 1, Release: 41,
			ID: string(rune('a' + i)), Reason: "exited with 1"})
	}
	empty := serving(41, one)
	empty.Replicas, empty.Routes = empty.Replicas[:0:0], map[string]Route{}
	checkAll(t, []look{
		{name: "beside other steps", w: w, o: serving(41, one).staleNames("web.41.1", "gone"),
			want: []string{"start shop-web.42.1 (image changed)", name}},
		{name: "a deployment converges without them", w: w, o: serving(42, two).staleNames("web.42.1"), done: true,
			want: []string{named}},
		{name: "they follow the addresses", w: w, o: serving(41, one).staleNames("web.41.1").stale(true),
			want: []string{"address services of shop"}},
		{name: "a stack is stuck without them", w: lost, o: empty.plus(func() rhumb.Replica {
			r := replica(&one.Services[0], 41, 1)
			r.ID, r.Slot = "by hand", 0
			return r
		}(), false).staleNames("by hand"), fail: "it can't be put back", left: []string{"shop-web.41.1: exited with 1"},
			want: []string{"name services for shop-web.41.0"}},
	})
}

func TestAPlanHasNeitherAddressesNorNames(t *testing.T) {
	one, two := stack(web(1, "a")), stack(web(1, "b"))
	w, o := deploy(42, one, two), serving(41, one)
	plain, stale := Plan(w, Observed(o), noon), Plan(w, Observed(o.stale(false).staleNames("web.41.1")), noon)
	if len(plain) == 0 || len(plain) != len(stale) {
		t.Fatalf("%d steps, with stale addresses %d", len(plain), len(stale))
	}
	for i := range plain {
		if plain[i] != stale[i] {
			t.Errorf("%s, with stale addresses %s", plain[i], stale[i])
		}
	}
}
