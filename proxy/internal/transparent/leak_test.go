package transparent

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tracked returns how many connections the kernel of the lab tracks.
func (l *lab) tracked() int {
	l.Helper()
	b, err := os.ReadFile("/proc/self/net/nf_conntrack") // the count in /proc/sys has also those that have expired
	l.must(err)
	return strings.Count(string(b), "dport=8000 ")
}

func TestAConnectionIsTrackedOnceAndIsForgotten(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	// As Docker's rules, this one has the kernel track connections.
	for _, c := range []string{"add table inet t", "add chain inet t c { type filter hook prerouting priority 0 ; }",
		"add rule inet t c ct state established accept"} {
		if out, err := exec.Command("nft", c).CombinedOutput(); err != nil {
			t.Fatalf("nft %s: %v: %s", c, err, out)
		}
	}
	const short = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_"
	for _, state := range []string{"time_wait", "close", "last_ack", "close_wait"} {
		l.must(os.WriteFile(short+state, []byte("1"), 0o644))
	}
	l.ensure()
	l.forgotten(10 * time.Second) // what the trials left
	const connections = 200
	for range connections {
		if got, err := l.sees(false); err != nil || got != clients[false].String() {
			t.Fatalf("seen as %q (%v)", got, err)
		}
	}
	if n := l.tracked(); n == 0 || n > connections {
		t.Errorf("%d entries for %d connections", n, connections)
	}
	l.forgotten(10 * time.Second)
}

// forgotten waits until the kernel tracks no connection any more.
func (l *lab) forgotten(limit time.Duration) {
	l.Helper()
	tick, late := time.NewTicker(20*time.Millisecond), time.After(limit)
	defer tick.Stop()
	for l.tracked() > 0 {
		select {
		case <-tick.C:
		case <-late:
			l.Fatalf("%d connections are still tracked", l.tracked())
		}
	}
}

func TestPortsOfEndedConnectionsAreFreeAgain(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	l.ensure()
	l.must(os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40009"), 0o644))
	to := netip.AddrPortFrom(l.addrs[false], port)
	for i := range 200 {
		c, err := l.machine.DialTCP(t.Context(), clients[false], to, time.Second)
		if err != nil {
			t.Fatalf("connection %d over 10 ports: %v", i, err)
		}
		_, err = io.Copy(io.Discard, c) // the replica closes first, so that it keeps TIME_WAIT
		c.Close()
		if err != nil && !errors.Is(err, unix.ECONNRESET) {
			t.Fatal(err)
		}
	}
	open, err := net.Dial("tcp", to.String()) // our own address shares nothing with the client's
	l.must(err)
	open.Close()
}
