package ready

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/rollout"
)

// refresh does what a turn does: it updates and reads.
func (y *Readiness) refresh(o rollout.Observed) map[string]time.Time {
	y.Update(o)
	return y.Snapshot(o).Since
}

func TestAReplicaIsReadyOnceAProbePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y, rep := New(), rhumb.Replica{ID: "a", State: rhumb.StateRunning, Started: time.Now()}
		seen := rollout.Observed{Replicas: []rhumb.Replica{rep}}
		up := time.Now().Add(time.Second)
		woken := 0
		ask := func(context.Context) error {
			if time.Now().Before(up) {
				return errors.New("connection refused")
			}
			return nil
		}
		for range 2 { // the second one finds it under way
			y.Start(t.Context(), rep, ask, Quick, 0, func() { woken++ })
		}
		time.Sleep(time.Second / 2)
		if len(y.refresh(seen)) != 0 || y.Output("a") != "connection refused" {
			t.Errorf("ready too soon, or: %q", y.Output("a"))
		}
		time.Sleep(time.Second)
		at, ready := y.refresh(seen)["a"]
		y.Stop()
		if late := at.Sub(up); !ready || late < 0 || late > Latest || woken != 1 || y.Output("a") != "" {
			t.Errorf("ready %v, late by %s, woken %d times", ready, late, woken)
		}
		if left := y.refresh(rollout.Observed{}); len(left) != 0 {
			t.Errorf("it is gone, and known: %v", left)
		}
	})
}

func TestARoutedReplicaIsReadyWithoutAProbe(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	seen := rollout.Observed{
		Replicas: []rhumb.Replica{{ID: "routed", State: rhumb.StateRunning, Started: began},
			{ID: "leaving", State: rhumb.StateRunning}, {ID: "dead", State: rhumb.StateExited}},
		Routes: map[string]rollout.Route{"routed": {}, "leaving": {Draining: true}, "dead": {}},
	}
	got := New().refresh(seen)
	if len(got) != 1 || !got["routed"].Equal(began) {
		t.Errorf("got %v", got)
	}
}

func TestAReplicaMustPassForTheWholeOfItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y, rep := New(), rhumb.Replica{ID: "a", State: rhumb.StateRunning, Started: time.Now()}
		seen := rollout.Observed{Replicas: []rhumb.Replica{rep}, Routes: map[string]rollout.Route{"a": {}}}
		began, down := time.Now(), time.Now().Add(2500*time.Millisecond) // it listens at once, and is gone for a moment
		ask := func(context.Context) error {
			if now := time.Now(); now.After(down) && now.Before(down.Add(time.Second)) {
				return errors.New("connection refused")
			}
			return nil
		}
		y.Start(t.Context(), rep, ask, Quick, 5*time.Second, func() {})
		synctest.Wait()
		if !y.Snapshot(seen).Accepts["a"] || len(y.refresh(seen)) != 0 {
			t.Errorf("accepts %v, ready %v", y.Snapshot(seen).Accepts, y.refresh(seen))
		}
		time.Sleep(3200 * time.Millisecond)
		if y.Snapshot(seen).Accepts["a"] {
			t.Error("it refuses, and is taken to accept")
		}
		time.Sleep(10 * time.Second)
		at, ready := y.refresh(seen)["a"]
		y.Stop()
		if after := at.Sub(began); !ready || after < 8500*time.Millisecond || after > 9*time.Second ||
			len(y.Snapshot(seen).Accepts) != 0 {
			t.Errorf("ready %v after %s, accepts %v", ready, after, y.Snapshot(seen).Accepts)
		}
	})
}

func TestAnAnswerBelow500ProvesThatTheApplicationIsThere(t *testing.T) {
	serve := func(answer http.HandlerFunc) netip.AddrPort {
		s := httptest.NewServer(answer)
		t.Cleanup(s.Close)
		return netip.MustParseAddrPort(s.Listener.Addr().String())
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "shop.test" || r.URL.Path != "/in" {
				code = http.StatusTeapot
			}
			w.WriteHeader(code)
		}
	}
	none := func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			c.Close()
		}
	}
	for _, try := range []struct {
		name     string
		it, peer http.HandlerFunc // peer nil: nothing serves
		ready    bool
	}{
		{"200", status(200), nil, true},
		{"400, as of a framework that asks for another host", status(400), nil, true},
		{"a redirect", status(302), nil, true},
		{"503 on a first deployment", status(503), nil, false},
		{"503 where the old one answers", status(503), status(200), false},
		{"503 where the old one does too", status(503), status(503), true},
		{"500 where the old one says 503", status(500), status(503), false},
		{"no answer", none, status(200), false},
		{"no answer, as from the old one", none, none, true},
	} {
		var peers []netip.AddrPort
		if try.peer != nil {
			peers = append(peers, serve(try.peer))
		}
		if err := Answer(t.Context(), serve(try.it), "shop.test", "/in", peers); (err == nil) != try.ready {
			t.Errorf("%s: %v", try.name, err)
		}
	}
}

func TestASnapshotOfAnOlderLookChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := New()
		defer y.Stop()
		began := time.Now()
		now := rollout.Observed{Replicas: []rhumb.Replica{
			{ID: "new", State: rhumb.StateRunning, Started: began},
			{ID: "healthy", State: rhumb.StateRunning, Started: began, Health: rhumb.HealthHealthy},
			{ID: "failed", State: rhumb.StateRunning, Started: began},
		}}
		y.Record("failed")
		y.Update(now)
		begun, cut := 0, 0
		y.StartOnce(t.Context(), "new", func(ctx context.Context) { begun++; <-ctx.Done(); cut++ }, func() {})
		synctest.Wait()
		time.Sleep(time.Second)
		if s := y.Snapshot(rollout.Observed{}); len(s.Since) != 0 { // rhumb ps listed the replicas before these started
			t.Errorf("ready in an empty look: %v", s.Since)
		}
		synctest.Wait()
		s := y.Snapshot(now)
		if begun != 1 || cut != 0 || !s.Recorded["failed"] || !s.Since["healthy"].Equal(began) {
			t.Errorf("begun %d times, cut off %d times; then %+v", begun, cut, s)
		}
	})
}
