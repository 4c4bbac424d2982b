package run

import (
	"context"
	"slices"
	"testing"
	"time"

	"rhumb"
	"rhumb/control/scene"
)

func TestWhatLimitsBeginAndEndIsAnnouncedOnce(t *testing.T) {
	var events []string
	a := &announcer{stack: "shop", send: func(_ context.Context, e rhumb.Event) {
		events = append(events, string(e.Kind)+" "+e.Stack+"/"+e.Service+": "+e.Text)
	}}
	look := func(st *rhumb.LimitStats, want ...string) {
		t.Helper()
		s := &scene.Scene{Router: rhumb.RouterStatus{
			Table: rhumb.Table{Backends: []rhumb.Backend{{Name: "blog/web:80", Stack: "blog", Service: "web"},
				{Name: "shop/web:80", Stack: "shop", Service: "web"}}},
			Backends: map[string]rhumb.BackendStats{"shop/web:80": {Limits: st},
				"blog/web:80": {Limits: &rhumb.LimitStats{Since: time.Now(), Shared: "10.0.0.1"}}},
		}}
		events = nil
		if a.limits(t.Context(), s); !slices.Equal(events, want) {
			t.Errorf("%+v: %q, want %q", st, events, want)
		}
	}
	const begin = "limits shop/web: limits refuse what clients send too much of"
	const end = "limits shop/web: limits refuse no more; 9 were refused so far"
	const shared = "warning shop/web: limits by client only observe: nearly all clients seem to come from 172.17.0.1; " +
		"rhumb doctor says what to do"
	look(nil)
	look(&rhumb.LimitStats{})
	look(&rhumb.LimitStats{Refused: 1, Since: time.Now()}, begin)
	look(&rhumb.LimitStats{Refused: 5, Since: time.Now()})
	look(&rhumb.LimitStats{Refused: 9}, end)
	look(&rhumb.LimitStats{Refused: 9, Shared: "172.17.0.1"}, shared)
	look(&rhumb.LimitStats{Refused: 9, Shared: "172.17.0.1"})
	look(&rhumb.LimitStats{Refused: 9}, "limits shop/web: limits by client are enforced again: clients share no address")
	look(nil)
}
