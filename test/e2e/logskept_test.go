package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rhumb"
)

// counting are replicas that write numbered lines, which the engine rotates.
const counting = `
services:
  app:
    image: rhumb-test/app:1
    environment: {ADDR: none, COUNT: "${RATE}", LENGTH: "1000", RELEASE: "${V}"}
    logging: {driver: json-file, options: {max-size: "${SIZE}", max-file: "5"}}
    deploy:
      replicas: ${REPLICAS}
      update_config: {parallelism: 5, monitor: 0s}
`

// It runs on an engine of its own, which it restarts.
func TestEveryLineIsKeptOnceWhateverDies(t *testing.T) {
	if os.Getenv(nestedEnv) == "" {
		needDocker(t)
		runNested(t)
		return
	}
	e := startEngine(t)
	docker(t, "load", "-i", os.Getenv("RHUMB_E2E_IMAGE"))
	c := &countStack{stack: newStack(t, newServer(t), counting)}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c.env = []string{fmt.Sprint("REPLICAS=", longer(4, 10)), "RATE=100",
		"SIZE=" + []string{"256k", "1m"}[longer(0, 1)], "V=0"}
	c.must(0, "deploy")
	var chaos sync.WaitGroup
	chaos.Go(func() { c.killObserve(rand.New(rand.NewPCG(seed, 1)), longer(4, 20)) })
	chaos.Go(func() { c.killDaemon(rand.New(rand.NewPCG(seed, 2)), longer(1, 10)) })
	chaos.Go(func() { c.deployAgain(longer(2, 6)) })
	chaos.Wait()
	begun := []string{"--grep", "^starting "}
	before := len(c.kept(begun...))
	e.stop(syscall.SIGTERM)
	e.start()
	eventually(t, time.Minute, "new replicas write", func() error {
		if n := len(c.kept(begun...)); n < before+longer(4, 10) {
			return fmt.Errorf("lines of %d containers, before the restart %d", n, before)
		}
		return nil
	})
	c.must(0, "down")
	c.judge(longer(4*4, 10*8))
}

func TestADiskOfLogsThatFailsCostsNoLine(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := idleServer(t, binary)
	f := newFaults(t, s, filepath.Join(s.data, "observe"))
	s.start()
	s.await()
	c := &countStack{stack: newStack(t, s, counting)}
	c.env = []string{"REPLICAS=2", "RATE=100", "SIZE=1m", "V=0"}
	c.must(0, "deploy")
	for _, with := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		f.arm(0, 1<<30, with)
		select { // the failures before may have ended the process, which then opens its store first
		case <-f.struck(4 * time.Second):
		case <-time.After(time.Minute):
			t.Fatalf("%v: nothing was written meanwhile", with)
		}
		failures := f.failures()
		f.arm(0, 0, 0)
		t.Logf("%v: %s", with, failures)
	}
	eventually(t, time.Minute, "lines are kept again", func() error {
		now := time.Now().UTC()
		if len(c.kept("--since", now.Add(-3*time.Second).Format(time.RFC3339Nano))) < 2 {
			return fmt.Errorf("not at %s", now)
		}
		return nil
	})
	c.must(0, "down")
	c.judge(2)
}

// countStack is a stack whose replicas write numbered lines.
type countStack struct{ *stack }

// killObserve kills the process that keeps logs so many times, each time a while after it has been started.
func (c *countStack) killObserve(rng *rand.Rand, times int) {
	for n := 0; n < times; {
		time.Sleep(time.Duration(rng.Int64N(int64(3 * time.Second))))
		if pid := c.s.observer(); pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
}

func (c *countStack) killDaemon(rng *rand.Rand, times int) {
	for range times {
		time.Sleep(2*time.Second + time.Duration(rng.Int64N(int64(4*time.Second))))
		c.s.kill()
		c.s.start()
	}
}

// deployAgain replaces all replicas so many times. The client goes on after the daemon was killed.
func (c *countStack) deployAgain(times int) {
	env := c.env[:len(c.env)-1]
	for v := range times {
		time.Sleep(2 * time.Second)
		k := *c.stack
		k.env = append(env[:len(env):len(env)], fmt.Sprintf("V=%d", v+1))
		eventually(c.t, 2*time.Minute, "a deployment converges", func() error {
			if r := k.rhumb("deploy"); r.code != 0 {
				return fmt.Errorf("exit %d: %s", r.code, r.out)
			}
			return nil
		})
	}
}

// kept returns the kept lines by container, in the order in which they are shown.
func (c *countStack) kept(flags ...string) map[string][]rhumb.LogLine {
	c.t.Helper()
	lines := map[string][]rhumb.LogLine{}
	r := c.rhumb("logs", append(flags, "--format", "json")...)
	if r.code != 0 {
		c.t.Logf("rhumb logs: exit %d: %s", r.code, r.out[max(0, len(r.out)-500):])
		return nil
	}
	for s := bufio.NewScanner(strings.NewReader(r.out)); s.Scan(); {
		var l rhumb.LogLine
		if err := json.Unmarshal(s.Bytes(), &l); err == nil && l.Container != "" {
			lines[l.Container] = append(lines[l.Container], l)
		}
	}
	return lines
}

// judge fails the test unless whole holds for all kept lines.
func (c *countStack) judge(containers int) {
	c.t.Helper()
	c.whole(c.kept(), containers)
}

// whole fails the test unless each container's numbers are there once and in order, from the first to the last that it
// wrote. The engine reads the two streams side by side, so each has its own order.
func (c *countStack) whole(kept map[string][]rhumb.LogLine, containers int) {
	c.t.Helper()
	all, size, whole := 0, 0, 0
	for id, lines := range kept {
		name := lines[0].Replica + " (" + id[:12] + ")"
		if want := fmt.Sprintf("starting %d", lines[0].Release-1); lines[0].Text != want {
			c.t.Errorf("%s begins with %.40q, want %q", name, lines[0].Text, want)
		}
		last, newest := 0, map[bool]int{}
		for _, l := range lines[1:] {
			all, size = all+1, size+len(l.Text)
			if _, err := fmt.Sscanf(l.Text, "last %d", &last); err == nil {
				whole++
				continue
			}
			n, want := 0, after(newest[l.Stderr], l.Stderr)
			if _, err := fmt.Sscanf(l.Text, "line %d", &n); err != nil || n != want {
				c.t.Errorf("%s: %.40q on stderr %t, want line %d", name, l.Text, l.Stderr, want)
			}
			newest[l.Stderr] = n
		}
		if end := max(newest[false], newest[true]); last != end {
			c.t.Errorf("%s: the kept lines end with %d, and it says that it wrote %d", name, end, last)
		}
	}
	c.t.Logf("%d containers, %d of which say how much they wrote; %d lines, %d MB", len(kept), whole, all, size>>20)
	if len(kept) < containers {
		c.t.Errorf("lines of %d containers are kept, want %d at least", len(kept), containers)
	}
}

// after returns the number that follows one on its stream: every seventh is on standard error.
func after(n int, stderr bool) int {
	if stderr {
		return n + 7
	}
	if n++; n%7 == 0 {
		n++
	}
	return n
}
