package transparent

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestWhatOthersRemoveIsRepaired(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	l.ensure()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.machine.Run(ctx) }()
	for _, damage := range []string{
		"nft flush ruleset",
		"nft flush table inet rhumb-lab",
		"ip rule flush",
		"ip -6 rule flush",
		fmt.Sprintf("ip route flush table %d", l.machine.kernel.mark),
		fmt.Sprintf("ip -6 route flush table %d", l.machine.kernel.mark),
	} {
		args := strings.Fields(damage)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", damage, err, out)
		}
		if strings.Contains(damage, "rule flush") { // that of all other packets is the administrator's to repair
			for _, f := range []string{"-4", "-6"} {
				exec.Command("ip", f, "rule", "add", "from", "all", "lookup", "main", "pref", "32766").Run()
			}
		}
		l.eventually(damage)
	}
	cancel()
	l.must(<-done)
	l.check("after Run")
}

// eventually waits until clients of both families are seen.
func (l *lab) eventually(after string) {
	l.Helper()
	tick, late := time.NewTicker(20*time.Millisecond), time.After(3*time.Second)
	defer tick.Stop()
	for {
		four, err4 := l.sees(false)
		six, err6 := l.sees(true)
		if four == clients[false].String() && six == clients[true].String() {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			l.Fatalf("after %s: the replica sees %q (%v) and %q (%v)", after, four, err4, six, err6)
		}
	}
}

func TestRemoveLeavesNothingAndSparesOtherInstances(t *testing.T) {
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	other := New(Options{Instance: "other"})
	other.Ensure(t.Context(), map[netip.Addr]bool{l.addrs[false]: true})
	before := state(t)
	l.ensure()
	if state(t) == before {
		t.Fatal("nothing was made")
	}
	for range 2 {
		l.must(l.machine.Remove())
		if now := state(t); now != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, now)
		}
	}
	// A process that has made nothing finds what another one has made, as after a kill.
	l.ensure()
	l.must(New(Options{Instance: "lab"}).Remove())
	if now := state(t); now != before {
		t.Errorf("left by another process:\n%s", now)
	}
	l.must(other.Remove())
}

// state returns everything that a machine may have in the kernel.
func state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, c := range []string{"nft list ruleset", "ip rule", "ip -6 rule",
		"ip route show table all type local scope host", "ip -6 route show table all type local"} {
		args := strings.Fields(c)
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", c, err, out)
		}
		all.Write(out)
	}
	return all.String()
}
