package vip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"rhumb"
)

func TestAServiceAddressAnswersToCallersEverywhere(t *testing.T) {
	needMachine(t)
	for name, options := range map[string][]string{"an ordinary network": nil, "an internal network": {"--internal"}} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, options...)
			a, b := l.start("a"), l.start("b")
			l.ready(a, b)
			l.serve([]rhumb.Endpoint{a.endpoint, b.endpoint}, []rhumb.Endpoint{b.endpoint})
			for _, from := range []struct {
				name string
				ns   netns.NsHandle
			}{{"the replica itself", a.ns}, {"another replica", b.ns}, {"the machine", netns.None()}} {
				c, seen := client(from.ns), map[string]int{}
				for range 20 {
					seen[l.must(say(c, l.url(0)))]++
				}
				if seen["a"] != 10 || seen["b"] != 10 {
					t.Errorf("from %s: %v, want 10 of each", from.name, seen)
				}
				if said := l.must(say(c, l.url(1))); said != "b" {
					t.Errorf("from %s: the other service is %q", from.name, said)
				}
			}
		})
	}
}

func TestAReplicaInSeveralNetworksAnswersInEach(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a := l.start("a")
	other := l.network(l.room + "-b")
	docker(t, "network", "connect", other.Network, a.id)
	t.Cleanup(func() { docker(t, "network", "disconnect", "-f", other.Network, a.id) })
	caller := l.startIn(other.Network, "caller")
	l.ready(a)
	there := netip.MustParseAddr(docker(t, "inspect", "-f", `{{(index .NetworkSettings.Networks "`+other.Network+`").IPAddress}}`, a.id))
	l.segment.Services = []rhumb.ServiceAddress{{Service: "s", Addr: vipAt(l.segment, 1), Endpoints: []rhumb.Endpoint{a.endpoint}}}
	other.Services = []rhumb.ServiceAddress{{Service: "s", Addr: vipAt(other, 1), Endpoints: []rhumb.Endpoint{
		{Replica: a.id, Name: a.name, Addr: netip.AddrPortFrom(there, 0)}}}}
	if errs := l.segments.Apply(t.Context(), []rhumb.Segment{l.segment, other}); len(errs) > 0 {
		t.Fatal(errs)
	}
	l.must(say(client(netns.None()), l.url(0)))
	url := "http://" + net.JoinHostPort(vipAt(other, 1).String(), "8000")
	l.must(say(client(caller.ns), url))
	l.must(say(client(a.ns), url)) // itself
}

// must gives what was said.
func (l *lab) must(said string, err error) string {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
	return said
}

// calls calls without pause until stop: with a connection for each call, and with kept ones. No call may fail.
type calls struct {
	l     *lab
	stop  chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	total int
	said  map[string]int
	fails []error
}

func (l *lab) calling(from ...netns.NsHandle) *calls {
	c := &calls{l: l, stop: make(chan struct{}), said: map[string]int{}}
	url := l.url(0)
	for _, ns := range from {
		for _, cl := range []*http.Client{client(ns), keeping(ns)} {
			c.done.Go(func() { c.loop(cl, url) })
		}
	}
	return c
}

func (c *calls) loop(cl *http.Client, url string) {
	defer cl.CloseIdleConnections()
	for {
		select {
		case <-c.stop:
			return
		default:
		}
		said, err := say(cl, url)
		c.mu.Lock()
		c.total++
		c.said[said]++
		if err != nil {
			c.fails = append(c.fails, err)
		}
		c.mu.Unlock()
	}
}

// more waits for so many calls more.
func (c *calls) more(n int) {
	c.mu.Lock()
	until := c.total + n
	c.mu.Unlock()
	eventually(c.l, 30*time.Second, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.total < until {
			return fmt.Errorf("%d calls, not %d; failed: %v", c.total, until, c.fails)
		}
		return nil
	})
}

func (c *calls) end() {
	c.l.Helper()
	close(c.stop)
	c.done.Wait()
	if len(c.fails) > 0 {
		c.l.Errorf("%d of %d calls failed, the first: %v", len(c.fails), c.total, c.fails[0])
	}
	c.l.Logf("%d calls, %v", c.total, c.said)
}

func TestNothingIsLostAcrossASwitchOfEndpoints(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	caller, old := l.start("caller"), l.start("0", "STOP_DELAY=0s")
	l.ready(old)
	l.serve([]rhumb.Endpoint{old.endpoint})
	c := l.calling(caller.ns, netns.None())
	c.more(200)
	for n := range 3 {
		next := l.start(fmt.Sprint(n + 1))
		l.ready(next)
		both := []rhumb.Endpoint{old.endpoint, next.endpoint}
		l.serve(both)
		c.more(50)
		both[0].Draining = true
		l.serve(both)
		c.more(50)
		l.serve([]rhumb.Endpoint{next.endpoint}) // past its drain: what is open ends when the application stops
		docker(t, "stop", old.id)
		c.more(200)
		old = next
	}
	c.end()
}

func TestOpenCountsWhatADrainingReplicaStillHas(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, b := l.start("a"), l.start("b")
	l.ready(a, b)
	l.serve([]rhumb.Endpoint{a.endpoint})
	kept := keeping(b.ns)
	l.must(say(kept, l.url(0)))
	if n := l.segments.Open(t.Context()); len(n) != 0 {
		t.Errorf("active replicas are counted: %v", n)
	}
	drains := a.endpoint
	drains.Draining = true
	l.serve([]rhumb.Endpoint{drains, b.endpoint})
	if n := l.segments.Open(t.Context()); n[a.id] != 1 || len(n) != 1 {
		t.Errorf("open: %v, want 1 of %s", n, a.id)
	}
	if said := l.must(say(kept, l.url(0))); said != "a" {
		t.Errorf("a connection to a draining replica was led to %q", said)
	}
	if said := l.must(say(client(b.ns), l.url(0))); said != "b" {
		t.Errorf("a draining replica got a new connection, and said %q", said)
	}
	kept.CloseIdleConnections()
	eventually(t, 5*time.Second, func() error {
		if n := l.segments.Open(t.Context()); len(n) != 0 {
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

func TestWithoutAReplicaConnectionsAreRejectedAtOnce(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	caller := l.start("caller")
	l.serve(nil)
	for _, ns := range []netns.NsHandle{caller.ns, netns.None()} {
		began := time.Now()
		_, err := dialIn(ns, "tcp", net.JoinHostPort(vipAt(l.segment, 1).String(), "8000"), 5*time.Second)
		if took := time.Since(began); !errors.Is(err, syscall.ECONNREFUSED) || took > 100*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
	}
}

func TestAConnectionWaitsInAGapAndNotLonger(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	caller := l.start("caller")
	l.serve(nil)
	at := net.JoinHostPort(vipAt(l.segment, 1).String(), "8000")
	l.segment.Services[0].Gap = time.Now().Add(10 * time.Second)
	l.apply()
	waited := make(chan error, 1)
	go func() {
		c, err := dialIn(caller.ns, "tcp", at, 15*time.Second)
		if err == nil {
			c.Close()
		}
		waited <- err
	}()
	b := l.start("b")
	l.ready(b)
	select {
	case err := <-waited:
		t.Fatalf("the connection didn't wait: %v", err)
	default:
	}
	l.serve([]rhumb.Endpoint{b.endpoint})
	if err := <-waited; err != nil {
		t.Errorf("a connection that waited for the new replica: %v", err)
	}

	l.serve(nil)
	l.segment.Services[0].Gap = time.Now().Add(1500 * time.Millisecond)
	l.apply()
	began := time.Now()
	_, err := dialIn(caller.ns, "tcp", at, 10*time.Second) // nobody looks meanwhile
	if took := time.Since(began); !errors.Is(err, syscall.ECONNREFUSED) || took < time.Second || took > 5*time.Second {
		t.Errorf("after the gap: %v after %v", err, took)
	}
}

// looking runs the look that repairs, until the test ends.
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

func TestWhatIsRemovedByHandIsMadeAgainWithoutALoss(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, caller := l.start("a"), l.start("caller")
	l.ready(a)
	l.serve([]rhumb.Endpoint{a.endpoint})
	l.looking()
	name, link := namespaceName(l.room[4:], l.segment.ID), linkName(l.room[4:], l.segment.ID)
	whole := insideOf(t, name)
	for what, args := range map[string][]string{
		"the namespace": {"ip", "netns", "del", name},
		"the link":      {"ip", "link", "del", link},
		"the port":      {"ip", "link", "set", link, "nomaster"},
		"an address":    {"ip", "netns", "exec", name, "ip", "addr", "flush", "dev", inside},
		"the rules":     {"ip", "netns", "exec", name, "nft", "flush", "ruleset"},
		"a rule":        {"ip", "netns", "exec", name, "nft", "flush", "chain", tableName, "postrouting"},
		"a route":       {"ip", "netns", "exec", name, "ip", "route", "flush", "table", "100"},
		"a link inside": {"ip", "netns", "exec", name, "ip", "link", "del", nowhere},
		"the link's up": {"ip", "netns", "exec", name, "ip", "link", "set", inside, "down"},
	} {
		t.Run(what, func(t *testing.T) {
			mac := neighbourOf(t, caller, vipAt(l.segment, 1))
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			// A connection that is there when its namespace goes is lost with it; one that begins never is.
			began, calls := time.Now(), 0
			for ; time.Since(began) < 1500*time.Millisecond; calls++ {
				c, err := dialIn(caller.ns, "tcp", net.JoinHostPort(vipAt(l.segment, 1).String(), "8000"), 5*time.Second)
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

// insideOf gives what is in a namespace: addresses, routes and rules.
func insideOf(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", name, "sh", "-ec", "ip -br addr | sort; ip rule; ip route show table 100; nft list ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return regexp.MustCompile(`@\S+`).ReplaceAllString(string(out), "") // links' numbers change
}

// neighbourOf gives the MAC that a replica knows for an address.
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

func TestConnectionsToADeadReplicaEnd(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	b := l.start("b", "TCP=:7000")
	l.ready(b)
	for name, c := range map[string]struct {
		drains    bool // long before it dies
		gap       bool // what begins then would wait
		survivors []rhumb.Endpoint
	}{
		"another is there": {survivors: []rhumb.Endpoint{b.endpoint}},
		"none is there":    {},
		"in a gap":         {gap: true},
		"it drained":       {drains: true, survivors: []rhumb.Endpoint{b.endpoint}},
	} {
		t.Run(name, func(t *testing.T) {
			a := l.start("a", "TCP=:7000")
			l.ready(a)
			l.serve([]rhumb.Endpoint{a.endpoint})
			l.looking()
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
			// Gone from one moment to the next, without a last packet.
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
	l.segment.Services = l.segment.Services[1:] // the link's first address goes
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

func TestTwoInstancesLeaveEachOtherAlone(t *testing.T) {
	needMachine(t)
	one, two := newLab(t), newLab(t)
	a, b := one.start("a"), two.start("b")
	one.ready(a)
	two.ready(b)
	one.serve([]rhumb.Endpoint{a.endpoint})
	two.serve([]rhumb.Endpoint{b.endpoint})
	one.apply()
	for _, l := range []*lab{one, two} {
		l.must(say(client(netns.None()), l.url(0)))
	}
	if errs := one.segments.Apply(t.Context(), nil); len(errs) > 0 {
		t.Fatal(errs)
	}
	two.must(say(client(netns.None()), two.url(0)))
	if left := one.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
	if left := two.leftovers(); left == "" {
		t.Error("the other's is gone")
	}
}

// leftovers lists what is there of the lab's instance.
func (l *lab) leftovers() string {
	l.Helper()
	names, err := namespaces(prefix(l.room[4:]))
	if err != nil {
		l.Fatal(err)
	}
	links, err := netlink.LinkList()
	if err != nil {
		l.Fatal(err)
	}
	for _, k := range links {
		if strings.HasPrefix(k.Attrs().Alias, prefix(l.room[4:])) {
			names = append(names, k.Attrs().Name)
		}
	}
	return strings.Join(names, " ")
}

func TestNothingIsLeftOfASegmentThatGoes(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	l.serve(nil, nil)
	if l.leftovers() == "" {
		t.Fatal("nothing was made")
	}
	// A namespace of which only the name is left, and one that a former process made.
	if err := os.WriteFile(filepath.Join(folder, prefix(l.room[4:])+"0123456789ab"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	next := New(Options{Instance: l.room[4:]})
	if errs := next.Apply(t.Context(), nil); len(errs) > 0 {
		t.Fatal(errs)
	}
	if left := l.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
	l.segments = next
}

func TestASegmentThatCannotBeMadeDoesNotStandInTheWay(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a := l.start("a")
	l.ready(a)
	l.serve([]rhumb.Endpoint{a.endpoint})
	gone := l.segment
	gone.Network, gone.ID, gone.Bridge = "gone_default", "0123456789abcdef", "br-0123456789ab"
	errs := l.segments.Apply(t.Context(), []rhumb.Segment{gone, l.segment})
	if err := errs[gone.ID]; len(errs) != 1 || rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "gone_default") {
		t.Errorf("%v", errs)
	}
	l.must(say(client(netns.None()), l.url(0)))
}

func TestThisMachineCanHaveSegments(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	if err := l.segments.Supported(); err != nil {
		t.Error(err)
	}
	if left := l.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
}
