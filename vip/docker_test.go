package vip

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
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
	there := netip.MustParseAddr(docker(t, "inspect", "-f",
		`{{(index .NetworkSettings.Networks "`+other.Network+`").IPAddress}}`, a.id))
	l.segment.Services = []rhumb.ServiceAddress{{Service: "s", Addr: vipAt(l.segment, 1),
		Endpoints: []rhumb.Endpoint{a.endpoint}}}
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

// must returns the answer, and fails the test on an error.
func (l *lab) must(said string, err error) string {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
	return said
}

// calls calls without a pause until stop, with a connection for each call and with kept ones. No call may fail.
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

// more waits for n more calls.
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
	_, err := dialIn(caller.ns, "tcp", at, 10*time.Second) // the keeper doesn't run meanwhile
	if took := time.Since(began); !errors.Is(err, syscall.ECONNREFUSED) || took < time.Second || took > 5*time.Second {
		t.Errorf("after the gap: %v after %v", err, took)
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

// leftovers lists what exists of the lab's instance.
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

func TestARemovedSegmentLeavesNothing(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	l.serve(nil, nil)
	if l.leftovers() == "" {
		t.Fatal("nothing was made")
	}
	// A namespace of which only the name is left, and one of an earlier process.
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

func TestASegmentThatFailsDoesNotHoldUpTheOthers(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a := l.start("a")
	l.ready(a)
	l.serve([]rhumb.Endpoint{a.endpoint})
	gone := l.segment
	gone.Network, gone.ID, gone.Bridge = "gone_default", "0123456789abcdef", "br-0123456789ab"
	errs := l.segments.Apply(t.Context(), []rhumb.Segment{gone, l.segment})
	if err := errs[gone.ID]; len(errs) != 1 || rhumb.ErrorCode(err) != rhumb.Unavailable ||
		!strings.Contains(err.Error(), "gone_default") {
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
