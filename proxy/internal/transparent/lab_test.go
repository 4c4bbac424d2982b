package transparent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inLab has a test run in a process of its own, whose network is empty, so that it may change everything there. It
// returns false in the process that only waits for that one.
func inLab(t *testing.T) bool {
	t.Helper()
	const own = "RHUMB_TEST_LAB"
	if os.Getenv(own) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), own+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// lab is a machine with a bridge, and a replica on it.
type lab struct {
	*testing.T
	replica netns.NsHandle
	machine *Machine
	addrs   map[bool]netip.Addr // of the replica, by whether it is of IPv6
}

const port = 8000

// newLab makes a machine. With out, the replica's way to others is through the machine.
func newLab(t *testing.T, out bool) *lab {
	t.Helper()
	l := &lab{T: t, machine: New(Options{Instance: "lab", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}),
		addrs: map[bool]netip.Addr{false: addr("10.77.0.2"), true: addr("fd77::2")}}
	l.must(within(netns.None(), func() (err error) {
		l.replica, err = netns.New()
		return err
	}))
	l.connect()
	if out {
		l.must(within(l.replica, func() error {
			index := l.link("eth0").Attrs().Index
			return errors.Join(
				netlink.RouteAdd(&netlink.Route{LinkIndex: index, Gw: net.ParseIP("10.77.0.1")}),
				netlink.RouteAdd(&netlink.Route{LinkIndex: index, Gw: net.ParseIP("fd77::1")}))
		}))
	}
	l.serve()
	l.awaitLinks()
	return l
}

// awaitLinks waits until the replica can be reached over both families: links need some time to come up.
func (l *lab) awaitLinks() {
	tick, late := time.NewTicker(20*time.Millisecond), time.After(5*time.Second)
	defer tick.Stop()
	for _, a := range l.addrs {
		for {
			c, err := net.DialTimeout("tcp", netip.AddrPortFrom(a, port).String(), time.Second)
			if err == nil {
				c.Close()
				break
			}
			select {
			case <-tick.C:
			case <-late:
				l.Fatalf("the replica can't be reached: %v", err)
			}
		}
	}
}

// connect connects the replica to a bridge of the machine.
func (l *lab) connect() {
	l.up("lo")
	bridge, veth := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}, netlink.NewVeth(netlink.NewLinkAttrs())
	bridge.Name, veth.Name, veth.PeerName = "br-lab", "veth-lab", "eth0"
	l.must(netlink.LinkAdd(bridge))
	l.must(netlink.LinkAdd(veth))
	l.must(netlink.LinkSetNsFd(l.link("eth0"), int(l.replica)))
	l.must(netlink.LinkSetMaster(l.link("veth-lab"), l.link("br-lab")))
	l.up("br-lab", "10.77.0.1/24", "fd77::1/64")
	l.up("veth-lab")
	l.must(within(l.replica, func() error {
		l.up("lo")
		l.up("eth0", "10.77.0.2/24", "fd77::2/64")
		return nil
	}))
}

func (l *lab) link(name string) netlink.Link {
	l.Helper()
	link, err := netlink.LinkByName(name)
	l.must(err)
	return link
}

// up sets a link of the calling thread's namespace up, with addresses.
func (l *lab) up(name string, addresses ...string) {
	l.Helper()
	link := l.link(name)
	for _, a := range addresses {
		n, err := netlink.ParseAddr(a)
		l.must(err)
		n.Flags = unix.IFA_F_NODAD
		l.must(netlink.AddrAdd(link, n))
	}
	l.must(netlink.LinkSetUp(link))
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// within runs f on a thread of its own in a namespace, or in the process's, and that thread isn't used again.
func within(ns netns.NsHandle, f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("the test has failed")
		defer func() { done <- err }()
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the first thread can't end
			err = within(ns, f)
			runtime.UnlockOSThread()
			return
		}
		if ns.IsOpen() {
			if err = netns.Set(ns); err != nil {
				return
			}
		}
		err = f()
	}()
	return <-done
}

// serve has the replica answer each connection and datagram with the address that it came from.
func (l *lab) serve() {
	l.must(within(l.replica, func() error {
		tcp, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
		l.must(err)
		udp, err := net.ListenPacket("udp", fmt.Sprintf("[::]:%d", port))
		l.must(err)
		l.Cleanup(func() { tcp.Close(); udp.Close() })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap())
				c.Close()
			}
		}()
		go func() {
			b := make([]byte, 100)
			for {
				_, from, err := udp.ReadFrom(b)
				if err != nil {
					return
				}
				udp.WriteTo([]byte(from.(*net.UDPAddr).AddrPort().Addr().Unmap().String()), from)
			}
		}()
		return nil
	}))
}

func (l *lab) ensure() {
	l.machine.Ensure(context.Background(), map[netip.Addr]bool{l.addrs[false]: true, l.addrs[true]: true})
}

var clients = map[bool]netip.Addr{false: addr("198.51.100.7"), true: addr("2001:db8:7::7")}

// sees returns which address the replica sees in a connection from a client.
func (l *lab) sees(six bool) (string, error) {
	c, err := l.machine.DialTCP(l.Context(), clients[six], netip.AddrPortFrom(l.addrs[six], port), time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Second))
	b, err := io.ReadAll(c)
	return string(b), err
}

// seesUDP returns which address the replica sees in a datagram of a client.
func (l *lab) seesUDP(six bool) (string, error) {
	c, err := l.machine.DialUDP(clients[six], netip.AddrPortFrom(l.addrs[six], port))
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return "", err
	}
	b := make([]byte, 100)
	n, err := c.Read(b)
	return string(b[:n]), err
}

// set sets a kernel setting of all links, and of those that come.
func (l *lab) set(name, value string) {
	paths, err := filepath.Glob("/proc/sys/net/ipv4/conf/*/" + name)
	l.must(err)
	for _, p := range paths {
		l.must(os.WriteFile(p, []byte(value), 0o644))
	}
}

func (l *lab) check(when string) {
	l.Helper()
	for _, six := range []bool{false, true} {
		if why := l.machine.Why(clients[six], l.addrs[six]); why != "" {
			l.Errorf("%s: %s can't be seen: %s", when, clients[six], why)
			continue
		}
		if got, err := l.sees(six); err != nil || got != clients[six].String() {
			l.Errorf("%s: the replica sees %q over TCP (%v), want %s", when, got, err, clients[six])
		}
		if got, err := l.seesUDP(six); err != nil || got != clients[six].String() {
			l.Errorf("%s: the replica sees %q over UDP (%v), want %s", when, got, err, clients[six])
		}
	}
}

func TestReplicasSeeClientsWhateverTheKernelChecks(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	for _, filter := range []string{"0", "1", "2"} {
		for _, mark := range []string{"0", "1"} {
			l.set("rp_filter", filter)
			l.set("src_valid_mark", mark)
			l.ensure()
			l.check("rp_filter " + filter + ", src_valid_mark " + mark)
		}
	}
}

func TestAReplicaWithoutAWayOutIsFoundBeforehand(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, false)
	l.ensure()
	for _, six := range []bool{false, true} {
		if why := l.machine.Why(clients[six], l.addrs[six]); !strings.HasPrefix(why, unanswered) {
			t.Errorf("%s: %q", l.addrs[six], why)
		}
	}
}

func TestARefusalOfDatagramsComesBack(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	l.ensure()
	for _, six := range []bool{false, true} {
		c, err := l.machine.DialUDP(clients[six], netip.AddrPortFrom(l.addrs[six], port+1))
		l.must(err)
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: %v", l.addrs[six], err)
		}
		c.Close()
	}
}

func TestManyConnectionsOfOneClientShareNoPort(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	l.ensure()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40099"), 0o644); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(l.addrs[false], port)
	for {
		c, err := l.machine.DialTCP(t.Context(), clients[false], to, time.Second)
		if err != nil {
			if !errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Errorf("without a free port: %v", err)
			}
			break
		}
		open = append(open, c)
		if len(open) > 100 {
			t.Fatal("more connections than ports")
		}
	}
	if len(open) < 90 {
		t.Errorf("only %d connections of 100 ports", len(open))
	}
	// Another client has all of them.
	c, err := l.machine.DialTCP(t.Context(), clients[false].Next(), to, time.Second)
	l.must(err)
	c.Close()
}

func TestAReplicaThatCannotBeReachedAtAllIsNotBlamed(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	l.ensure()
	l.must(netlink.LinkSetDown(l.link("veth-lab")))
	again := func(netip.Addr) bool { return true }
	l.machine.look(t.Context(), again)
	for six, a := range l.addrs {
		if why := l.machine.Why(clients[six], a); why != "" {
			t.Errorf("%s was reached a moment ago, and now: %q", a, why)
		}
	}
	fresh := New(Options{Instance: "lab"})
	fresh.Ensure(t.Context(), map[netip.Addr]bool{l.addrs[false]: true})
	if why := fresh.Why(clients[false], l.addrs[false]); why != unreached {
		t.Errorf("an endpoint that was never reached: %q", why)
	}
	l.must(netlink.LinkSetUp(l.link("veth-lab")))
	l.awaitLinks()
	fresh.look(t.Context(), again)
	if why := fresh.Why(clients[false], l.addrs[false]); why != "" {
		t.Errorf("an endpoint that is reached now: %q", why)
	}
}
