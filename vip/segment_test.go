package vip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"rhumb"
)

// looking runs the repairs until the test ends.
func (l *lab) looking() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.segments.Run(ctx); err != nil {
			l.Error(err)
		}
	})
	l.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func TestASegmentRemovedByHandIsRepairedWithoutLoss(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, caller := l.start("a"), l.start("caller")
	l.ready(a)
	l.serve([]rhumb.Endpoint{a.endpoint})
	l.looking()
	name, link := namespaceName(l.room[4:], l.segment.ID), linkName(l.room[4:], l.segment.ID)
	whole := insideOf(t, name)
	for _, c := range []struct { // one after the other, on the same segment
		what string
		args []string
	}{
		{"the namespace", []string{"ip", "netns", "del", name}},
		{"the link", []string{"ip", "link", "del", link}},
		{"the port", []string{"ip", "link", "set", link, "nomaster"}},
		{"an address", []string{"ip", "netns", "exec", name, "ip", "addr", "flush", "dev", inside}},
		{"the rules", []string{"ip", "netns", "exec", name, "nft", "flush", "ruleset"}},
		{"a rule", []string{"ip", "netns", "exec", name, "nft", "flush", "chain", tableName, "postrouting"}},
		{"a route", []string{"ip", "netns", "exec", name, "ip", "route", "flush", "table", "100"}},
		{"a link inside", []string{"ip", "netns", "exec", name, "ip", "link", "del", nowhere}},
		{"the link's up", []string{"ip", "netns", "exec", name, "ip", "link", "set", inside, "down"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			mac := neighbourOf(t, caller, vipAt(l.segment, 1))
			if out, err := exec.Command(c.args[0], c.args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			// A connection that exists when its namespace is removed is lost with it. One that begins never is.
			began, calls := time.Now(), 0
			for ; time.Since(began) < 1500*time.Millisecond; calls++ {
				c, err := dialIn(caller.ns, "tcp", net.JoinHostPort(vipAt(l.segment, 1).String(), "8000"),
					5*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			t.Logf("%d connections", calls)
			if _, err := say(client(caller.ns), l.url(0)); err != nil {
				t.Fatal(err)
			}
			if now := neighbourOf(t, caller, vipAt(l.segment, 1)); mac != "" && now != mac {
				t.Errorf("its MAC was %s and is %s", mac, now)
			}
			eventually(t, 5*time.Second, func() error {
				if now := insideOf(t, name); now != whole {
					return fmt.Errorf("it isn't as it was:\n%s\nbut\n%s", whole, now)
				}
				return nil
			})
		})
	}
}

// insideOf returns what is in a namespace: addresses, routes and rules.
func insideOf(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", name, "sh", "-ec",
		"ip -br addr | sort; ip rule; ip route show table 100; nft list ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return regexp.MustCompile(`@\S+`).ReplaceAllString(string(out), "") // links' numbers change
}

// neighbourOf returns the MAC that a replica knows for an address.
func neighbourOf(t *testing.T, of replica, a netip.Addr) (mac string) {
	t.Helper()
	err := within(of.ns, func() error {
		ns, err := netlink.NeighList(0, netlink.FAMILY_V4)
		for _, n := range ns {
			if n.IP.Equal(a.AsSlice()) {
				mac = n.HardwareAddr.String()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return mac
}
