package vip

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"rhumb"
)

func TestOpenCountsWhatADrainingReplicaStillHas(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, b := l.start("a"), l.start("b")
	l.ready(a, b)
	l.serve([]rhumb.Endpoint{a.endpoint})
	kept := keeping(b.ns)
	l.must(say(kept, l.url(0)))
	if n, _ := l.segments.Open(t.Context()); len(n) != 0 {
		t.Errorf("active replicas are counted: %v", n)
	}
	drains := a.endpoint
	drains.Draining = true
	l.serve([]rhumb.Endpoint{drains, b.endpoint})
	if n, _ := l.segments.Open(t.Context()); n[a.id] != 1 || len(n) != 1 {
		t.Errorf("open: %v, want 1 of %s", n, a.id)
	}
	if said := l.must(say(kept, l.url(0))); said != "a" {
		t.Errorf("a connection to a draining replica reached %q", said)
	}
	if said := l.must(say(client(b.ns), l.url(0))); said != "b" {
		t.Errorf("a draining replica got a new connection, and said %q", said)
	}
	kept.CloseIdleConnections()
	eventually(t, 5*time.Second, func() error {
		if n, _ := l.segments.Open(t.Context()); len(n) != 0 {
			return fmt.Errorf("open: %v", n)
		}
		return nil
	})
}

func TestUDPFlowsMoveToTheActiveReplica(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, b := l.start("a", "UDP=:5353"), l.start("b", "UDP=:5353")
	l.ready(a, b)
	l.serve([]rhumb.Endpoint{a.endpoint})
	c, err := dialIn(b.ns, "udp", net.JoinHostPort(vipAt(l.segment, 1).String(), "5353"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo := func() error {
		_, _ = c.Write([]byte("hello"))
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, err := c.Read(make([]byte, 100))
		return err
	}
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	drains := a.endpoint
	drains.Draining = true
	l.serve([]rhumb.Endpoint{drains, b.endpoint})
	docker(t, "kill", a.id) // only b can answer
	for range 3 {
		if err := echo(); err != nil {
			t.Fatal(err)
		}
	}
	l.serve(nil)
	if err := echo(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without a replica a datagram is answered with %v", err)
	}
}

func TestConnectionsToADeadReplicaEnd(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	b := l.start("b", "TCP=:7000")
	l.ready(b)
	l.looking()
	for _, c := range []struct { // all on the same segment
		name      string
		drains    bool // long before it dies
		gap       bool // connections that begin then would wait
		survivors []rhumb.Endpoint
	}{
		{name: "another is there", survivors: []rhumb.Endpoint{b.endpoint}},
		{name: "none is there"},
		{name: "in a gap", gap: true},
		{name: "it drained", drains: true, survivors: []rhumb.Endpoint{b.endpoint}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := l.start("a", "TCP=:7000")
			l.ready(a)
			l.serve([]rhumb.Endpoint{a.endpoint})
			conn, err := dialIn(b.ns, "tcp", net.JoinHostPort(vipAt(l.segment, 1).String(), "7000"), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if c.drains {
				a.endpoint.Draining = true
				for range 5 {
					l.serve(append([]rhumb.Endpoint{a.endpoint}, c.survivors...))
				}
			}
			// It is gone from one moment to the next, without a last packet.
			if err := within(a.ns, func() error {
				link, err := netlink.LinkByName("eth0")
				if err != nil {
					return err
				}
				return netlink.LinkDel(link)
			}); err != nil {
				t.Fatal(err)
			}
			l.serve(c.survivors)
			if c.gap {
				l.segment.Services[0].Gap = time.Now().Add(time.Minute)
				l.apply()
			}
			began := time.Now()
			for err == nil && time.Since(began) < 20*time.Second {
				_, err = conn.Write([]byte("are you there?"))
				time.Sleep(50 * time.Millisecond)
			}
			took := time.Since(began)
			t.Logf("%v after %v", err, took)
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) || took > 5*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}

func TestAFormerReplicaFinishesWhatItHas(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, b := l.start("a", "TCP=:7000"), l.start("b")
	l.ready(a, b)
	l.serve([]rhumb.Endpoint{a.endpoint})
	l.looking()
	c, err := dialIn(b.ns, "tcp", net.JoinHostPort(vipAt(l.segment, 1).String(), "7000"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l.serve([]rhumb.Endpoint{b.endpoint}) // it left the table, and is stopped after that
	for range 30 {
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	docker(t, "stop", a.id)
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after its stop: %v", err)
	}
}

func TestAServiceThatGoesLeavesTheOthersAlone(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, caller := l.start("a", "TCP=:7000"), l.start("caller")
	l.ready(a)
	l.serve([]rhumb.Endpoint{a.endpoint}, []rhumb.Endpoint{a.endpoint})
	open := func(n int) net.Conn {
		t.Helper()
		c, err := dialIn(caller.ns, "tcp", net.JoinHostPort(vipAt(l.segment, n).String(), "7000"), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	echo := func(c net.Conn) error {
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, err := c.Write([]byte("x"))
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 1))
		}
		return err
	}
	first, second := open(1), open(2)
	l.segment.Services = l.segment.Services[1:] // the link's first address is removed
	l.apply()
	for _, c := range []net.Conn{second, open(2)} {
		if err := echo(c); err != nil {
			t.Errorf("to the service that stays: %v", err)
		}
	}
	if err := echo(first); err == nil {
		t.Error("the service that went is still there")
	}
}
