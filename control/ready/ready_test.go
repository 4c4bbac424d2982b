package ready

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/rollout"
)

func TestAReplicaIsReadyOnceAProbePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y, rep := New(), rhumb.Replica{ID: "a", State: rhumb.StateRunning, Started: time.Now()}
		seen := rollout.Observed{Replicas: []rhumb.Replica{rep}}
		up := time.Now().Add(time.Second)
		woken := 0
		ask := func(context.Context) error {
			if time.Now().Before(up) {
				return errors.New("nobody listens")
			}
			return nil
		}
		for range 2 { // the second one finds it under way
			y.Start(t.Context(), rep, ask, Quick, func() { woken++ })
		}
		time.Sleep(time.Second / 2)
		if len(y.Since(seen)) != 0 || y.Said("a") != "nobody listens" {
			t.Errorf("ready too soon, or: %q", y.Said("a"))
		}
		time.Sleep(time.Second)
		at, ready := y.Since(seen)["a"]
		y.Stop()
		if late := at.Sub(up); !ready || late < 0 || late > Latest || woken != 1 || y.Said("a") != "" {
			t.Errorf("ready %v, late by %s, woken %d times", ready, late, woken)
		}
		if left := y.Since(rollout.Observed{}); len(left) != 0 {
			t.Errorf("it is gone, and known: %v", left)
		}
	})
}

func TestAReplicaThatIsLedToIsReadyWithoutAProbe(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	seen := rollout.Observed{
		Replicas: []rhumb.Replica{{ID: "led", State: rhumb.StateRunning, Started: began}, {ID: "leaving", State: rhumb.StateRunning}, {ID: "dead", State: rhumb.StateExited}},
		Routes:   map[string]rollout.Route{"led": {}, "leaving": {Draining: true}, "dead": {}},
	}
	got := New().Since(seen)
	if len(got) != 1 || !got["led"].Equal(began) {
		t.Errorf("got %v", got)
	}
}
