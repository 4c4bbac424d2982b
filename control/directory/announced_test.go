package directory

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestNamesAreAnnouncedOnceUntilTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAnnounced()
		want := map[string]map[string]string{"web1": {"db": "10.0.0.1"}, "web2": {"db": "10.0.0.1"}}
		stale := func(what string, ids ...string) {
			t.Helper()
			if got := a.Stale(want, time.Now()); !slices.Equal(got, ids) {
				t.Errorf("%s: %q are stale, want %q", what, got, ids)
			}
		}
		stale("after a start", "web1", "web2")
		stale("while they are updated")
		a.Record("web1", want["web1"])
		a.Done(true)
		stale("just after a failure")
		time.Sleep(retryAfter)
		stale("a moment after a failure", "web2")
		a.Record("web2", want["web2"])
		a.Done(false)
		stale("once all have their names")
		want["web1"] = map[string]string{"db": "10.0.0.2"}
		stale("when a name changes", "web1")
		a.Record("web1", want["web1"])
		a.Done(false)
		delete(want, "web2")
		a.Keep(want)
		want["web2"] = map[string]string{"db": "10.0.0.1"}
		stale("when a replica is back under its ID", "web2")
	})
}
