package directory

import (
	"maps"
	"slices"
	"testing"
)

func TestNamesAreStaleUntilTheyAreRecorded(t *testing.T) {
	a := NewAnnounced()
	want := map[string]map[string]string{"web1": {"db": "10.0.0.1"}, "web2": {"db": "10.0.0.1"}}
	stale := func(what string, ids ...string) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(a.Stale(want))); !slices.Equal(got, ids) {
			t.Errorf("%s: %q are stale, want %q", what, got, ids)
		}
	}
	stale("after a start", "web1", "web2")
	stale("when asked again", "web1", "web2")
	a.Record("web1", want["web1"])
	stale("once one has its names", "web2")
	a.Record("web2", want["web2"])
	stale("once all have their names")
	want["web1"] = map[string]string{"db": "10.0.0.2"}
	stale("when a name changes", "web1")
	a.Record("web1", want["web1"])
	delete(want, "web2")
	a.Keep(want)
	want["web2"] = map[string]string{"db": "10.0.0.1"}
	stale("when a replica is back under its ID", "web2")
}
