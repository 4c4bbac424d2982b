package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const two = `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: one}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    deploy: {replicas: 2}
`

func TestAKilledReplicaIsReplaced(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), two)
	k.must(0, "deploy")
	for _, how := range [][]string{{"kill"}, {"rm", "-f"}, {"stop"}, {"restart", "-t", "1"}} {
		victim := docker(t, "ps", "-q", "--no-trunc", "--filter", "name=^"+k.name+"-app", "--latest")
		docker(t, append(how, strings.TrimSpace(victim))...)
		eventually(t, 30*time.Second, fmt.Sprintf("two replicas after docker %v", how), func() error {
			return k.running(map[string]int{"app": 2})
		})
		k.says(k.url("/"), `"Release":"one"`)
	}
}

func TestAHealedStackLosesNoNewRequests(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), two)
	k.must(0, "deploy")
	victim := strings.Fields(docker(t, "ps", "-q", "--filter", "name=^"+k.name+"-app"))[0]
	docker(t, "kill", victim)
	time.Sleep(time.Second)
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 100})
	eventually(t, 30*time.Second, "two replicas", func() error { return k.running(map[string]int{"app": 2}) })
	time.Sleep(time.Second)
	if y := l.end(); y.failed > 0 {
		t.Errorf("after the kill: %v", y)
	}
}

func TestScaleAndRestartDropNothing(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), two)
	k.must(0, "deploy")
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 100})
	k.must(0, "scale", "app=4")
	if err := k.running(map[string]int{"app": 4}); err != nil {
		t.Error(err)
	}
	k.must(0, "scale", "app=1")
	k.settles(1)
	before := k.containers()
	k.must(0, "restart")
	k.settles(1)
	if after := k.containers(); slices.Equal(before, after) {
		t.Errorf("containers before the restart: %v, after: %v", before, after)
	}
	if y := l.end(); y.failed > 0 {
		t.Errorf("meanwhile: %v", y)
	}
}

// settles waits until only so many containers are left: a deployment may have converged while old replicas still finish
// what they have.
func (k *stack) settles(count int) {
	k.t.Helper()
	eventually(k.t, 30*time.Second, fmt.Sprintf("%d containers", count), func() error {
		if all := k.containers(); len(all) != count {
			return fmt.Errorf("there are %v", all)
		}
		return nil
	})
}

func TestTwentyIdleReplicasCostLittle(t *testing.T) {
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, strings.Replace(two, "replicas: 2", "replicas: 20", 1))
	k.must(0, "deploy")
	time.Sleep(5 * time.Second)
	const span = 20 * time.Second
	cpu := s.cpu()
	time.Sleep(span)
	used := s.cpu() - cpu
	var own, observe int
	for _, pid := range s.processes() {
		kB := memoryKB(t, pid, "smaps_rollup", "Pss:")
		t.Logf("pid %d: %d MB, of which %d MB are its part of what several processes share", pid, residentKB(t, pid)/1024,
			(kB-memoryKB(t, pid, "status", "RssAnon:"))/1024)
		if runs(pid, "observe") {
			observe += kB
		} else {
			own += kB
		}
	}
	if len(s.processes()) != 3 || observe == 0 {
		t.Errorf("processes: %v, want the server, its proxy and observe", s.processes())
	}
	t.Logf("server and proxy with 20 replicas: %d MB, observe: %d MB; all: %.2f%% of a core", own/1024, observe/1024,
		100*used.Seconds()/span.Seconds())
	if own > 65*1024 || observe > 50*1024 { // the pages of the binary count once, not for each process
		t.Errorf("%d MB and %d MB, want at most 65 and 50", own/1024, observe/1024)
	}
	if used > span/50 {
		t.Errorf("%.2f%% of a core, want at most 2", 100*used.Seconds()/span.Seconds())
	}
}

// cpu returns the CPU time of the server, its proxy and observe.
func (s *server) cpu() (sum time.Duration) {
	s.t.Helper()
	for _, pid := range s.processes() {
		sum += cpuTime(s.t, pid)
	}
	return sum
}

// cpuTime returns the CPU time that a process has used.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	var ticks int64
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// residentKB returns the memory of a process, with all that it shares.
func residentKB(t *testing.T, pid int) int { return memoryKB(t, pid, "status", "VmRSS:") }

// memoryKB returns a figure of a file of a process.
func memoryKB(t *testing.T, pid int, file, key string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, key); ok {
			n, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s of pid %d has no %s", file, pid, key)
	return 0
}
