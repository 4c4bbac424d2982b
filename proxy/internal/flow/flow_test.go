package flow

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"rhumb/proxy/internal/socket"
)

func TestAFlowIsQuietOnceNothingIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		name   string
		due    time.Duration
		moves  func(f *Flow)
		before time.Duration // not quiet after that time
		after  time.Duration // quiet after that; negative: never
	}{
		{"nothing has moved yet", 0, func(*Flow) {}, greeting - 1, greeting},
		{"the replica has sent something", 0, func(f *Flow) { f.Note(false, 1) }, moment - 1, moment},
		{"an answer is due", 0, func(f *Flow) { f.Note(true, 1) }, time.Hour, -1},
		{"an answer was due for a second", time.Second, func(f *Flow) { f.Note(true, 1) }, time.Second - 1, time.Second},
		{"the answer has come", 0, func(f *Flow) { f.Note(true, 1); f.Note(false, 1) }, moment - 1, moment},
		{"bytes wait to be taken", 0, func(f *Flow) { f.come(false) }, time.Hour, -1},
		{"the bytes were taken", 0, func(f *Flow) { f.come(false); f.taken(false, 1) }, moment - 1, moment},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := New(nil)
				f.Due = c.due
				c.moves(f)
				time.Sleep(c.before)
				if f.quiet() {
					t.Errorf("quiet after %v", c.before)
				}
				if c.after >= 0 {
					if time.Sleep(c.after - c.before); !f.quiet() {
						t.Errorf("not quiet after %v", c.after)
					}
				}
			})
		})
	}
}

func TestOnlyQuietFlowsThatMayBeClosedAreDismissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flows
		closed := map[string]bool{}
		flow := func(name string, fromClient bool) *Flow {
			f := New(func() { closed[name] = true })
			f.Note(fromClient, 1)
			fs.Add(f)
			return f
		}
		flow("quiet", false)
		flow("waiting", true)
		fs.Remove(flow("removed", false))
		kept := New(nil)
		kept.Note(false, 1)
		fs.Add(kept)
		time.Sleep(moment)
		fs.Dismiss()
		if !closed["quiet"] || len(closed) != 1 || fs.Quiet() != 2 {
			t.Errorf("closed: %v; %d are quiet", closed, fs.Quiet())
		}
	})
}

func TestTheStillestFlowMakesRoom(t *testing.T) {
	here := socket.Binding{Addr: netip.MustParseAddrPort("10.0.0.1:80")}
	there := socket.Binding{Addr: netip.MustParseAddrPort("10.0.0.1:81")}
	for _, c := range []struct {
		name string
		at   socket.Binding
		wait time.Duration
		want string
	}{
		{"of those at the address", here, time.Minute, "here, old"},
		{"of all", socket.Binding{}, time.Minute, "there"},
		{"but none that has just moved", here, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fs Flows
				closed := ""
				for _, f := range []struct {
					name string
					at   socket.Binding
				}{{"there", there}, {"here, old", here}, {"here, new", here}} {
					fl := New(func() { closed += f.name })
					fl.Bound = f.at
					fs.Add(fl)
					time.Sleep(time.Second)
				}
				time.Sleep(c.wait)
				if fs.MakeRoom(c.at, 10*time.Second); closed != c.want {
					t.Errorf("closed %q, want %q", closed, c.want)
				}
			})
		})
	}
}
