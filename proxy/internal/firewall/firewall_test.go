package firewall

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/nftables"
)

// inNamespace runs the test again in a process with a network namespace of its own, and returns false. It returns true
// in that process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("RHUMB_TEST_NAMESPACE") != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"unshare", "ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "RHUMB_TEST_NAMESPACE=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}

func command(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// bench is a machine with two listeners, of which the first is the proxy's.
type bench struct {
	*testing.T
	fw           *Firewall
	ours, others net.Listener
}

func newBench(t *testing.T) *bench {
	t.Helper()
	command(t, "ip link set lo up")
	for _, a := range []string{"2001:db8:1::1/128", "2001:db8:2::1/128", "2001:db8:2::2/128", "2001:db8:3::1/128"} {
		command(t, "ip -6 addr add "+a+" dev lo nodad")
	}
	b := &bench{T: t, fw: New(Options{Instance: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})}
	var accepting sync.WaitGroup
	for _, l := range []*net.Listener{&b.ours, &b.others} {
		var err error
		if *l, err = net.Listen("tcp", "[::]:0"); err != nil {
			t.Fatal(err)
		}
		accepting.Go(func() { accept(*l) })
	}
	t.Cleanup(func() {
		_, _ = b.ours.Close(), b.others.Close()
		accepting.Wait()
	})
	b.fw.SetPorts([]uint16{portOf(b.ours)}, []uint16{53})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.fw.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

// accept accepts until the listener is closed. The kernel keeps only some thousand connections that wait for that.
func accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

// dialTime is how long a connection may take on a busy machine.
const dialTime = 500 * time.Millisecond

// reaches reports whether a connection from the address is accepted.
func (b *bench) reaches(l net.Listener, from string) bool {
	b.Helper()
	to := "127.0.0.1"
	if strings.Contains(from, ":") {
		to = "2001:db8:1::1"
	}
	d := net.Dialer{Timeout: dialTime, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(to), portOf(l)).String())
	if err != nil {
		b.Logf("%s doesn't reach port %d: %v", from, portOf(l), err)
		return false
	}
	c.Close()
	return true
}

// await waits until a client reaches the proxy's port or not.
func (b *bench) await(limit time.Duration, what, from string, reaches bool) time.Duration {
	b.Helper()
	began := time.Now()
	for b.reaches(b.ours, from) != reaches {
		if time.Since(began) > limit {
			rules := command(b.T, "nft list ruleset")
			b.Fatalf("%s: not within %s: the rules are\n%s", what, limit, rules[:min(len(rules), 3000)])
		}
	}
	return time.Since(began)
}

// begins bans a client, and returns once the kernel has it.
func (b *bench) begins(client netip.Prefix) {
	b.fw.Ban(client, time.Time{})
	b.awaitElement(client, true)
}

// ends ends a ban, and returns once the kernel has done so.
func (b *bench) ends(client netip.Prefix) {
	b.fw.Unban(client)
	b.awaitElement(client, false)
}

// fastest returns the shortest of some times that do takes: others may be longer on a busy machine.
func (b *bench) fastest(do func(client netip.Prefix)) time.Duration {
	b.Helper()
	var times []time.Duration
	for i := range byte(5) {
		began := time.Now()
		do(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, i}), 32))
		times = append(times, time.Since(began))
	}
	b.Logf("five changes take %v", times)
	return slices.Min(times)
}

// awaitElement waits until the kernel has an element for a client of IPv4 or not.
func (b *bench) awaitElement(client netip.Prefix, want bool) {
	b.Helper()
	k := kernel{name: tableName("test")}
	for late := time.Now().Add(5 * time.Second); time.Now().Before(late); {
		c, err := k.batch()
		if err != nil {
			b.Fatal(err)
		}
		es, err := c.conn.GetSetElements(&nftables.Set{Table: c.table, Name: setOf4})
		if err == nil && want == slices.ContainsFunc(es, func(e nftables.SetElement) bool {
			return netip.AddrFrom4([4]byte(e.Key)) == client.Addr()
		}) {
			return
		}
	}
	b.Fatalf("%s is in the kernel: %v", client, !want)
}

func TestTheKernelDropsWhatBannedClientsSend(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := newBench(t)
	ban := func(s string) { b.fw.Ban(netip.MustParsePrefix(s), time.Now().Add(time.Hour)) }
	ban("127.0.0.2/32")
	ban("2001:db8:2::/64")
	ban("127.0.0.0/8") // a range, which only the proxy refuses
	for _, c := range []struct {
		from    string
		reaches bool
	}{{"127.0.0.2", false}, {"127.0.0.3", true}, {"2001:db8:2::1", false}, {"2001:db8:2::2", false},
		{"2001:db8:3::1", true}} {
		b.await(2*time.Second, "the ban", c.from, c.reaches)
		if !b.reaches(b.others, c.from) {
			t.Errorf("%s doesn't reach a port that isn't the proxy's", c.from)
		}
	}
	if took := b.fastest(b.begins); took > 100*time.Millisecond {
		t.Errorf("a ban takes %s", took)
	}
	if took := b.fastest(b.ends); took > 100*time.Millisecond {
		t.Errorf("the end of a ban takes %s", took)
	}
	b.fw.Ban(netip.MustParsePrefix("127.0.0.2/32"), time.Now().Add(1500*time.Millisecond))
	b.await(5*time.Second, "the end of the ban's time", "127.0.0.2", true)
}

func TestTheTableIsRepairedAndRemoved(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := newBench(t)
	if out := command(t, "nft list tables"); strings.Contains(out, "rhumb_bans") {
		t.Errorf("without a ban there is a table: %s", out)
	}
	b.fw.Ban(netip.MustParsePrefix("127.0.0.2/32"), time.Time{})
	b.await(2*time.Second, "the ban", "127.0.0.2", false)
	for _, harm := range []string{
		"nft delete table inet rhumb_bans_test",
		"nft flush chain inet rhumb_bans_test prerouting",
		"nft flush set inet rhumb_bans_test clients4",
		"nft flush set inet rhumb_bans_test tcp_ports",
		"nft flush ruleset",
	} {
		command(t, harm)
		if !b.reaches(b.ours, "127.0.0.2") {
			t.Errorf("%s does no harm", harm)
		}
		b.await(15*time.Second, harm, "127.0.0.2", false)
	}
	command(t, "nft add table inet other") // which is no harm
	b.fw.SetPorts([]uint16{portOf(b.others)}, nil)
	b.await(2*time.Second, "other ports", "127.0.0.2", true)
	b.fw.Pause(true)
	b.fw.Unban(netip.MustParsePrefix("127.0.0.2/32"))
	if err := Remove("test"); err != nil {
		t.Fatal(err)
	}
	out := command(t, "nft list ruleset")
	if strings.Contains(out, "rhumb") || !strings.Contains(out, "table inet other") {
		t.Errorf("left is %s", out)
	}
}

func TestManyBansAreInTheKernelSoon(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := newBench(t)
	began := time.Now()
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		b.fw.Ban(netip.PrefixFrom(a, 32), began.Add(time.Hour))
	}
	n := 0
	for late := began.Add(time.Minute); n < 100_000; n = b.elements() {
		if time.Now().After(late) {
			b.Fatalf("the kernel has %d of 100,000 after a minute", n)
		}
	}
	t.Logf("100,000 bans are in the kernel after less than %s", time.Since(began))
	b.fw.Ban(netip.MustParsePrefix("127.0.0.3/32"), time.Time{})
	t.Logf("one more after less than %s", b.await(5*time.Second, "one more ban", "127.0.0.3", false))
}

// elements returns how many clients of IPv4 the kernel has.
func (b *bench) elements() int {
	k := kernel{name: tableName("test")}
	c, err := k.batch()
	if err != nil {
		b.Fatal(err)
	}
	es, _ := c.conn.GetSetElements(&nftables.Set{Table: c.table, Name: setOf4}) // there may be no table yet
	return len(es)
}
