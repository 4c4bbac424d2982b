package vip

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"rhumb"
)

// moved is a network in which callers are, and another one that replaces it.
type moved struct {
	*lab
	other rhumb.Segment
}

func newMoved(t *testing.T) *moved {
	l := newLab(t)
	m := &moved{lab: l, other: l.network(l.room + "-b")}
	t.Cleanup(func() { // before the networks go
		if errs := l.segments.Apply(context.Background(), nil); len(errs) > 0 {
			t.Error(errs)
		}
	})
	return m
}

// join adds a leg into the other network to the callers' segment.
func (m *moved) join() {
	m.segment.Legs = []rhumb.Leg{{Network: m.other.Network, ID: m.other.ID, Bridge: m.other.Bridge,
		Subnet: m.other.Subnet, Addr: vipAt(m.other, 9)}}
}

func TestACallerReachesReplicasInTheNetworkThatReplacesItsOwn(t *testing.T) {
	needMachine(t)
	m := newMoved(t)
	caller, old := m.start("caller"), m.start("old")
	m.ready(caller, old)
	m.serve([]rhumb.Endpoint{old.endpoint})
	c := m.calling(caller.ns)
	c.more(50)
	now := m.startIn(m.other.Network, "new")
	m.ready(now)
	m.join()
	m.serve([]rhumb.Endpoint{old.endpoint, now.endpoint})
	c.more(50)
	drained := old.endpoint
	drained.Draining = true
	m.serve([]rhumb.Endpoint{drained, now.endpoint})
	c.more(50)
	m.serve([]rhumb.Endpoint{now.endpoint})
	c.more(50)
	c.end()
	if c.said["new"] < 50 {
		t.Errorf("the new replica answered %d times", c.said["new"])
	}
	drained = now.endpoint
	drained.Draining = true
	kept := m.hold(caller, m.url(0))
	m.serve([]rhumb.Endpoint{drained})
	if open, _ := m.segments.Open(t.Context()); open[now.id] != 1 {
		t.Errorf("open: %v, want one of %s", open, now.id)
	}
	kept()
}

// hold keeps a connection of the caller open. end asks over it once more and closes it.
func (m *moved) hold(from replica, url string) (end func()) {
	c := keeping(from.ns)
	m.must(say(c, url))
	return func() {
		m.must(say(c, url))
		c.CloseIdleConnections()
	}
}

func TestALegThatIsNotWantedAnyMoreIsRemoved(t *testing.T) {
	needMachine(t)
	m := newMoved(t)
	caller, now := m.start("caller"), m.startIn(m.other.Network, "new")
	m.ready(caller, now)
	m.join()
	m.serve([]rhumb.Endpoint{now.endpoint})
	m.must(say(client(caller.ns), m.url(0)))
	if n := m.ports(m.other.Bridge); n != 2 {
		t.Fatalf("the other network has %d ports, want the replica's and the leg's", n)
	}
	m.segment.Legs = nil
	m.serve([]rhumb.Endpoint{})
	if n := m.ports(m.other.Bridge); n != 1 {
		t.Errorf("the other network has %d ports, want the replica's", n)
	}
	if _, err := say(client(caller.ns), m.url(0)); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a call ends with %v, want that it is refused", err)
	}
	// A process that knows nothing of them finds legs too, and a removed segment takes them along.
	m.join()
	m.serve([]rhumb.Endpoint{now.endpoint})
	m.segments = New(Options{Instance: m.room[4:]})
	m.segment.Legs = nil
	m.serve([]rhumb.Endpoint{})
	if n := m.ports(m.other.Bridge); n != 1 {
		t.Errorf("a later process leaves the other network %d ports, want the replica's", n)
	}
	m.join()
	m.serve([]rhumb.Endpoint{now.endpoint})
	if errs := m.segments.Apply(t.Context(), nil); len(errs) > 0 {
		t.Fatal(errs)
	}
	if n := m.ports(m.other.Bridge); n != 1 {
		t.Errorf("a removed segment leaves the other network %d ports, want the replica's", n)
	}
}

// ports returns how many ports a bridge has.
func (m *moved) ports(bridge string) (n int) {
	m.Helper()
	b, err := net.InterfaceByName(bridge)
	if err != nil {
		m.Fatal(err)
	}
	ls, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		m.Fatal(err)
	}
	for _, l := range ls {
		if l.Attrs().MasterIndex == b.Index {
			n++
		}
	}
	return n
}
