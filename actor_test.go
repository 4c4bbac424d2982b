package rhumb_test

import (
	"testing"

	"rhumb"
)

func TestAnAuthorIsTheActorAndThenTheClaim(t *testing.T) {
	ada := rhumb.Actor{Name: "ada", Host: "server"}
	for _, c := range []struct {
		actor       rhumb.Actor
		claim, want string
	}{
		{ada, "", "ada"},
		{ada, "ada@server", "ada"},
		{ada, "ada", "ada"},
		{ada, "ada@laptop", "ada (ada@laptop)"},
		{ada, "root@server", "ada (root@server)"},
		{ada, "root", "ada (root)"},
		{rhumb.Actor{Name: "uid 1000", Host: "server"}, "root@server", "uid 1000 (root@server)"},
		{rhumb.Actor{}, "ada@laptop", "ada@laptop"},
		{rhumb.Actor{}, "", ""},
	} {
		got := c.actor.By(c.claim)
		if got != c.want {
			t.Errorf("%+v, claiming %q: %q, want %q", c.actor, c.claim, got, c.want)
		}
	}
}

func TestAContextWithoutAnActorHasNone(t *testing.T) {
	if a := rhumb.ActorOf(t.Context()); a != (rhumb.Actor{}) {
		t.Errorf("got %+v", a)
	}
	ada := rhumb.Actor{Name: "ada", Host: "server"}
	if a := rhumb.ActorOf(rhumb.WithActor(t.Context(), ada)); a != ada {
		t.Errorf("got %+v", a)
	}
}
