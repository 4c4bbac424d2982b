package web

import (
	"testing"
	"time"

	"rhumb"
)

func TestTheFirstLineOfAStackSaysWhatServes(t *testing.T) {
	contains(t, get(t, shopWorld().server(), "/stacks/shop"), 200, "<b>Release 42</b> serves since", "(3h)",
		">3f2a91c</span>", "by <bdi>ana (ana@laptop)</bdi>", "faster cart", "84.0/s", "8 of 8", "web.42.2",
		"put back", "Roll back…", "completed")
	contains(t, get(t, shopWorld().server(), "/stacks/nothing"), 404, "stack nothing isn&#39;t deployed")
}

func TestAStackInTroubleShowsIt(t *testing.T) {
	contains(t, get(t, brokenWorld().server(), "/stacks/shop"), 200, "failed and not fully put back", "4 requests wait",
		"exited (1), again in 8s", "7 of 8", ">16<", `<span class="chip bad">stuck</span>`)
	contains(t, get(t, openWorld().server(), "/stacks/shop"), 200, "Deployment 813", "is rolling", "42 → 43")
	contains(t, get(t, unmeasuredWorld().server(), "/stacks/shop"), 200, "Not available now", "<b>Release 42</b>")
}

func TestADeploymentShowsItsStepsAsTheyGo(t *testing.T) {
	rec := get(t, openWorld().server(), "/stacks/shop/deployments/813")
	contains(t, rec, 200, "42 → 43", "web.43.1", "is ready", "is draining", "web.43.2", "is starting", "Cancel…",
		"show the tax in the cart", "Requests lost", "data-live")
	rec = get(t, shopWorld().server(), "/stacks/shop/deployments/812")
	contains(t, rec, 200, "converged: shop@42 serves", "Roll back to 41…", "migrate")
	lacks(t, rec, "data-live", "Cancel…", "is starting")
}

func TestTheFailureCardOfADeploymentIsItsHero(t *testing.T) {
	rec := get(t, shopWorld().server(), "/stacks/shop/deployments/811")
	contains(t, rec, 200, "failed and put back: shop@41 serves", "the health check failed", "GET /alive → 500",
		"column orders.note does not exist", "rhumb run --release 42 api flask db upgrade", "exit code 1", ">3<")
	lacks(t, rec, "Roll back to")
	contains(t, get(t, brokenWorld().server(), "/stacks/shop/deployments/812"), 200, "2 times", "out of memory",
		"api</bdi> 14", ">16<")
	contains(t, get(t, shopWorld().server(), "/stacks/shop/deployments/5"), 404, "no deployment 5")
	contains(t, get(t, shopWorld().server(), "/stacks/shop/deployments/x"), 404, "no deployment x")
}

func TestWhatHasABeginningAndAnEndIsOneStep(t *testing.T) {
	event := func(after int, kind rhumb.EventKind, replica string) rhumb.Event {
		at := noon.Add(time.Duration(after) * time.Second)
		return rhumb.Event{At: at, Kind: kind, Stack: "s", Replica: "s-" + replica}
	}
	rows := stepsOf([]rhumb.Event{
		event(0, rhumb.EventStarting, "a.1.1"), event(1, rhumb.EventStarted, "a.1.1"),
		event(1, rhumb.EventStarting, "b.1.1"), event(3, rhumb.EventReady, "a.1.1"),
		event(4, rhumb.EventFailed, "b.1.1"), event(5, rhumb.EventDraining, "c.1.1"), event(6, rhumb.EventStopped, "d.1.1"),
	}, true)
	want := []stepRow{
		{What: "a.1.1", Tone: "ok", Took: 3 * time.Second}, {What: "b.1.1", Tone: "bad", Took: 3 * time.Second},
		{What: "c.1.1", Tone: "now"}, {What: "d.1.1", Tone: "ok"},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	for i, w := range want {
		if r := rows[i]; r.What != w.What || r.Tone != w.Tone || r.Took != w.Took {
			t.Errorf("row %d is %+v, want %+v", i, r, w)
		}
	}
	if rows := stepsOf([]rhumb.Event{event(0, rhumb.EventDraining, "a.1.1")}, false); rows[0].Tone == "now" {
		t.Error("something goes on after the end")
	}
}

func TestLossesOfAnOpenDeploymentAreCountedSinceItBegan(t *testing.T) {
	started := noon.Add(-time.Hour)
	st := rhumb.RouterStatus{Started: started, Backends: map[string]rhumb.BackendStats{
		"s/a:1": {Unserved: 5, Cut: 2}, "s/b:1": {Unserved: 3}, "t/a:1": {Cut: 9}},
		Table: rhumb.Table{Backends: []rhumb.Backend{{Name: "s/a:1", Stack: "s", Service: "a"},
			{Name: "s/b:1", Stack: "s", Service: "b"}, {Name: "t/a:1", Stack: "t", Service: "a"}}}}
	d := rhumb.Deployment{Stack: "s", Before: rhumb.Tally{Proxy: started, Unserved: map[string]uint64{"a": 4, "b": 3}}}
	if lost := lostSince(d, st); len(lost) != 1 || lost["a"] != 3 {
		t.Errorf("lost %v, want 3 of a", lost)
	}
	st.Started = noon // a new proxy counts from zero
	if lost := lostSince(d, st); lost["a"] != 7 || lost["b"] != 3 {
		t.Errorf("lost %v, want 7 of a and 3 of b", lost)
	}
}

func TestEventsAreNewestFirstAndByStack(t *testing.T) {
	s := openWorld().server()
	contains(t, get(t, s, "/events"), 200, "web.43.2", "Saturday 28 November", `<option value="blog">blog`,
		"/live?every=60")
	rec := get(t, s, "/events?stack=blog")
	contains(t, rec, 200, "Nothing has happened yet", `<option selected value="blog">`)
	lacks(t, rec, "web.43.2")
	contains(t, get(t, awayWorld().server(), "/events"), 200, "shown once the daemon is back")
}

func TestMoreEventsAreShownWhenAskedFor(t *testing.T) {
	w := newWorld()
	for i := range 150 {
		w.events = append(w.events, rhumb.Event{ID: int64(i + 1), At: noon, Kind: rhumb.EventReady, Stack: "shop",
			Replica: "shop-web.1.1"})
	}
	s := w.server()
	contains(t, get(t, s, "/events"), 200, "The last 100", "/events?limit=400")
	rec := get(t, s, "/events?limit=400")
	contains(t, rec, 200, "The last 150")
	lacks(t, rec, "limit=1000")
	contains(t, get(t, s, "/events?limit=99999999"), 200, "The last 100")
}
