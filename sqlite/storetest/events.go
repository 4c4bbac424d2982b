package storetest

import (
	"bytes"
	"testing"
	"time"

	"rhumb"
)

func eventsFiltered(t *testing.T, s rhumb.Store) {
	at := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
	var all []rhumb.Event
	for i := range 9 {
		e := rhumb.Event{
			At: at.Add(time.Duration(i) * time.Second), Kind: rhumb.EventStarted,
			Stack: []string{"shop", "blog"}[i%2], Deployment: int64(i % 3),
			Service: "web", Replica: "shop-web.1.1", Slot: 1, Release: 1, Phase: rhumb.PhaseRolling, By: "ada", Text: "did it",
		}
		if i == 4 {
			f := Failure()
			e.Kind, e.Failure = rhumb.EventFailed, &f
		}
		e, err := s.Append(t.Context(), e)
		must(t, err)
		all = append(all, e)
	}
	pull, err := s.Append(t.Context(), rhumb.Event{At: at, Kind: rhumb.EventPull, Stack: "shop", Done: 1})
	must(t, err)
	if pull.ID != 0 {
		t.Fatal("a pull's progress was stored")
	}
	for name, c := range map[string]struct {
		f    rhumb.EventFilter
		want []rhumb.Event
	}{
		"all":        {rhumb.EventFilter{}, all},
		"stack":      {rhumb.EventFilter{Stack: "blog"}, []rhumb.Event{all[1], all[3], all[5], all[7]}},
		"deployment": {rhumb.EventFilter{Deployment: 2}, []rhumb.Event{all[2], all[5], all[8]}},
		"after":      {rhumb.EventFilter{After: all[6].ID}, all[7:]},
		"since":      {rhumb.EventFilter{Since: at.Add(7 * time.Second)}, all[7:]},
		"limit":      {rhumb.EventFilter{Limit: 2}, all[7:]},
		"together":   {rhumb.EventFilter{Stack: "shop", After: all[0].ID, Limit: 2}, []rhumb.Event{all[6], all[8]}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Events(t.Context(), c.f)
			must(t, err)
			same(t, got, c.want)
		})
	}
}

func eventsGrow(t *testing.T, s rhumb.Store) {
	var last int64
	for range 50 {
		e, err := s.Append(t.Context(), rhumb.Event{At: time.Unix(0, 0).UTC(), Kind: rhumb.EventReady, Stack: "shop"})
		must(t, err)
		if e.ID <= last {
			t.Fatalf("%d follows %d", e.ID, last)
		}
		last = e.ID
	}
}

func values(t *testing.T, s rhumb.Store) {
	long := bytes.Repeat([]byte{0, 1, 255, '\n'}, 1<<18)
	must(t, s.SetValue(t.Context(), "zeta", []byte("one")))
	must(t, s.SetValue(t.Context(), "alpha", nil))
	must(t, s.SetValue(t.Context(), "zeta", long))
	names, err := s.Values(t.Context())
	must(t, err)
	same(t, names, []string{"alpha", "zeta"})
	got, err := s.Value(t.Context(), "zeta")
	must(t, err)
	if !bytes.Equal(got, long) {
		t.Fatalf("%d bytes came back", len(got))
	}
	empty, err := s.Value(t.Context(), "alpha")
	must(t, err)
	if len(empty) != 0 {
		t.Fatalf("the empty value came back as %q", empty)
	}
	must(t, s.RemoveValue(t.Context(), "zeta"))
	_, err = s.Value(t.Context(), "zeta")
	wantCode(t, err, rhumb.NotFound)
	wantCode(t, s.SetValue(t.Context(), "", []byte("x")), rhumb.Invalid)
}

func settings(t *testing.T, s rhumb.Store) {
	want := func(stack, key, want string) {
		t.Helper()
		got, err := s.Setting(t.Context(), stack, key)
		must(t, err)
		same(t, got, want)
	}
	want("", "port", "")
	for _, value := range []string{"1", "2", ""} {
		must(t, s.SetSetting(t.Context(), "", "port", value))
		want("", "port", value)
	}
	must(t, s.SetSetting(t.Context(), "", "port", "daemon's"))
	must(t, s.SetSetting(t.Context(), "shop", "port", "shop's"))
	want("", "port", "daemon's")
	want("shop", "port", "shop's")
	for range 2 {
		must(t, s.RemoveSetting(t.Context(), "shop", "port"))
		want("shop", "port", "")
		want("", "port", "daemon's")
	}
}

func settingsGoWithTheirStack(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	converge(t, s, "blog")
	for _, scope := range []string{"", "shop", "blog"} {
		must(t, s.SetSetting(t.Context(), scope, "key", "of "+scope))
	}
	if err := s.RemoveStack(t.Context(), "shop"); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Fatalf("a stack that serves: %v", err)
	}
	down(t, s, "shop")
	must(t, s.RemoveStack(t.Context(), "shop"))
	for scope, want := range map[string]string{"": "of ", "shop": "", "blog": "of blog"} {
		got, err := s.Setting(t.Context(), scope, "key")
		must(t, err)
		same(t, got, want)
	}
}
