package rhumb

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestAStrategyDecidesHowAServiceChanges(t *testing.T) {
	written := Service{Name: "web", Order: StartFirst, Update: Policy{Parallelism: 1, Monitor: 5},
		Rollback: Policy{Parallelism: 2}}
	for _, c := range []struct {
		strategy    Strategy
		order       Order
		why         string
		parallelism int
	}{
		{"", StartFirst, "", 1}, {StrategyRolling, StartFirst, "", 1}, {StrategyRecreate, StopFirst, "strategy recreate", 0},
	} {
		s := written
		s.Strategy = c.strategy
		before := s
		got := s.Applied()
		if got.Order != c.order || got.OrderWhy != c.why || got.Update != (Policy{Parallelism: c.parallelism, Monitor: 5}) {
			t.Errorf("%q: got %s (%s), %+v", c.strategy, got.Order, got.OrderWhy, got.Update)
		}
		if got.Rollback != written.Rollback || !reflect.DeepEqual(s, before) {
			t.Errorf("%q: Applied changed the service or its rollback policy: %+v", c.strategy, got)
		}
	}
	if (*Service)(nil).Applied() != nil {
		t.Error("no service has become one")
	}
}

// Releases that were stored before they kept the strategy have what it came to.
func TestAnOlderReleaseChangesAsItWasStored(t *testing.T) {
	for _, stored := range []string{
		`{"Name":"web","Order":"stop-first","OrderWhy":"strategy recreate",` +
			`"Update":{"Parallelism":0,"OnFailure":"rollback"}}`,
		`{"Name":"web","Order":"start-first","Update":{"Parallelism":2,"OnFailure":"pause"}}`,
	} {
		var s Service
		if err := json.Unmarshal([]byte(stored), &s); err != nil {
			t.Fatal(err)
		}
		if got := s.Applied(); !reflect.DeepEqual(*got, s) {
			t.Errorf("stored as %s, it changes as %+v", stored, got)
		}
	}
}
