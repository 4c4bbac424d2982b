package observed

import (
	"context"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"rhumb"
)

func summary(state container.ContainerState, status, addr string) *container.Summary {
	c := &container.Summary{ID: "1", State: state, Status: status, NetworkSettings: &container.NetworkSettingsSummary{}}
	c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"n": {IPAddress: netip.MustParseAddr(addr)}}
	return c
}

func TestALineThatDiffersInAnythingThatMattersIsAnother(t *testing.T) {
	lines := map[string]bool{}
	for _, c := range []*container.Summary{
		summary(container.StateRunning, "Up 3 minutes", "10.0.0.1"), summary(container.StateRunning,
			"Up 3 minutes (healthy)", "10.0.0.1"),
		summary(container.StateRunning, "Up 3 minutes", "10.0.0.2"), summary(container.StateExited,
			"Exited (1) 3 minutes ago", "10.0.0.1"),
		summary(container.StateRunning, "Up 2 seconds", "10.0.0.1"),
	} {
		lines[lineOf(c, false)] = true
	}
	if len(lines) != 5 {
		t.Errorf("some are the same: %v", lines)
	}
}

func TestTheAgeDoesNotMatterWhileTheEventsAreWatched(t *testing.T) {
	young, old := summary(container.StateRunning, "Up 2 seconds", "10.0.0.1"), summary(container.StateRunning,
		"Up 3 minutes", "10.0.0.1")
	if lineOf(young, true) != lineOf(old, true) {
		t.Error("a replica that only grew older is looked at again")
	}
	if lineOf(old, true) == lineOf(summary(container.StateRunning, "Up 3 minutes (healthy)", "10.0.0.1"), true) {
		t.Error("its health doesn't show")
	}
}

func TestWhatChangedWhileItWasLookedAtIsNotKnown(t *testing.T) {
	for _, c := range []struct {
		line *container.Summary
		seen rhumb.Replica
		want bool
	}{
		{summary(container.StateRunning, "Up 3 minutes (healthy)", "10.0.0.1"),
			rhumb.Replica{State: rhumb.StateRunning, Health: rhumb.HealthHealthy}, true},
		{summary(container.StateRunning, "Up 3 minutes (healthy)", "10.0.0.1"),
			rhumb.Replica{State: rhumb.StateRunning, Health: rhumb.HealthUnhealthy}, false},
		{summary(container.StateRunning, "Up 3 minutes", "10.0.0.1"), rhumb.Replica{State: rhumb.StateExited}, false},
		{summary(container.StateExited, "Exited (1) 3 minutes ago", "10.0.0.1"), rhumb.Replica{State: rhumb.StateExited},
			true},
		{summary(container.StateCreated, "Created", "10.0.0.1"), rhumb.Replica{State: rhumb.StateExited, Error: "no"}, false},
	} {
		if settled(c.line, &c.seen) != c.want {
			t.Errorf("%s and %+v: not %v", c.line.Status, c.seen, c.want)
		}
	}
}

func TestWhatIsNoLongerListedIsForgotten(t *testing.T) {
	var k Known
	k.note("line", rhumb.Replica{ID: "1", Stack: "shop"})
	k.note("line", rhumb.Replica{ID: "2", Stack: "blog"})
	k.Keep("shop", nil)
	_, shop := k.find("1", "line")
	_, blog := k.find("2", "line")
	_, other := k.find("2", "other line")
	if shop || !blog || other {
		t.Errorf("shop %v, blog %v, another line %v", shop, blog, other)
	}
}

func TestAReplicaIsLookedAtAgainOnlyWhereItsLineMayNotStandForIt(t *testing.T) {
	var k Known
	looks := 0
	now := rhumb.Replica{ID: "1", Stack: "shop", State: rhumb.StateRunning}
	list := func(want int, after string) {
		t.Helper()
		now.Addrs = map[string]netip.Addr{"n": netip.MustParseAddr("10.0.0.1")}
		r, err := k.Listed(t.Context(), summary(container.StateRunning, "Up 3 minutes", "10.0.0.1"),
			func(context.Context, string) (rhumb.Replica, error) {
				looks++
				return now, nil
			})
		if err != nil || looks != want || r.Addrs["n"].String() != "10.0.0.1" {
			t.Errorf("%s: %d looks, want %d; %+v, %v", after, looks, want, r, err)
		}
		clear(r.Addrs) // as whoever got it might
	}
	now.State = rhumb.StateExited // it died between the list and the look
	list(1, "at first")
	now.State = rhumb.StateRunning
	list(2, "once it had changed under the look")
	list(2, "with nothing new")
	list(2, "with nothing new, again")
	k.Forget("1")
	list(3, "after an event")
	k.Watch(+1)
	list(4, "once events are watched")
	list(4, "with nothing new while events are watched")
	k.Watch(-1)
	k.Watch(+1)
	list(5, "after a time without events")
	k.Watch(-1)
	list(6, "once events aren't watched any more")
}
