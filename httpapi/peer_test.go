package httpapi

import (
	"net"
	"os/user"
	"path/filepath"
	"testing"

	"rhumb"
)

func TestOnlyAUnixSocketShowsItsUser(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ network, addr, want string }{
		{"unix", filepath.Join(t.TempDir(), "s"), me.Username},
		{"tcp", "127.0.0.1:0", ""},
	} {
		ln, err := net.Listen(c.network, c.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		client, err := net.Dial(c.network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if a := rhumb.ActorOf(withActor(t.Context(), conn)); a.Name != c.want {
			t.Errorf("%s: the actor is %+v, want %q", c.network, a, c.want)
		}
	}
}

func TestAUserWithoutANameIsItsNumber(t *testing.T) {
	const nameless = 3999999999
	if name := userName(nameless); name != "uid 3999999999" {
		t.Errorf("got %q", name)
	}
}
