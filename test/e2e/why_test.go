package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rhumb"
)

const (
	calm       = 8 * time.Minute  // before a fault: with less nothing is usual
	longCalm   = 17 * time.Minute // the first release is no cause of a trouble so long afterwards
	aftermath  = 4 * time.Minute  // between a fault and the question
	whyStacks  = 70               // that must be tried at the same time
	whyDeploys = 3                // deployments at the same time, so that the machine's CPUs aren't a cause
)

// whyCase is a fault, or a quiet time, that a stack has to itself.
type whyCase struct {
	name    string
	want    []rhumb.HappeningKind // of the first cause, any of these; none: nothing is unusual
	service string                // of the first cause; "": no matter which
	compose string
	env     []string      // of the first deployment
	path    string        // what visitors ask; "": /
	rate    float64       // of visitors; 0: 3 a second
	calm    time.Duration // 0: calm
	after   time.Duration // 0: aftermath

	before  func(k *trial) // before the first deployment
	prepare func(k *trial) // before the calm
	fault   func(k *trial)
	server  func(t *testing.T) *server // a server of its own; nil: all others'
}

// whyTable is what came of the cases.
type whyTable struct {
	deploying chan struct{}

	mu           sync.Mutex
	rows         []string
	right, total int // of faults
}

// needLong skips the test unless tests may take long, and fails it if too few of its parts could run at once.
func needLong(t *testing.T, parallel int) {
	t.Helper()
	if os.Getenv("RHUMB_TEST_LONG") != "1" {
		t.Skip("takes most of an hour: it runs with RHUMB_TEST_LONG=1")
	}
	if n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String()); err != nil || n < parallel {
		t.Fatalf("all cases run at the same time: run it with -parallel %d", parallel)
	}
}

func TestWhyNamesInjectedFaults(t *testing.T) {
	needDocker(t)
	needLong(t, whyStacks)
	w := &whyTable{deploying: make(chan struct{}, whyDeploys)}
	s := measuredServer(t)
	for _, group := range []struct {
		name  string
		cases []whyCase
	}{
		{"faults", slices.Concat(releaseFaults, replicaFaults, dependencyFaults, partFaults, quietTimes)},
		{"machine", machineFaults},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					w.try(t, s, c)
				})
			}
		})
	}
	slices.Sort(w.rows)
	t.Logf("the right cause was first in %d of %d faults:\n%s", w.right, w.total, strings.Join(w.rows, "\n"))
	if 100*w.right < 85*w.total {
		t.Errorf("the right cause was first in %d of %d faults, want 85%%", w.right, w.total)
	}
}

// try lets a stack live in peace, injects the fault, waits, and asks why.
func (w *whyTable) try(t *testing.T, s *server, c whyCase) {
	if c.server != nil {
		s = c.server(t)
	}
	k := newTrial(t, s, c.compose, w.deploying)
	k.env = c.env
	if c.before != nil {
		c.before(k)
	}
	k.change(0, "deploy")
	if c.prepare != nil {
		c.prepare(k)
	}
	k.visitors = visit(t, k.client, or(k.target, k.url(or(c.path, "/"))), or(c.rate, 3))
	pause(t, or(c.calm, calm))
	since := time.Now().Add(-time.Minute)
	if c.fault != nil {
		c.fault(k)
	}
	pause(t, or(c.after, aftermath))
	w.take(t, c, k.why(since))
}

// or returns v, or other if v is zero.
func or[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// pause waits, unless the test ends before.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}

// take compares an explanation with what a case wants.
func (w *whyTable) take(t *testing.T, c whyCase, x rhumb.Explanation) {
	first := rhumb.WhyCause{}
	if len(x.Causes) > 0 {
		first = x.Causes[0]
	}
	ok := len(c.want) == 0 && len(x.Causes) == 0 ||
		slices.Contains(c.want, first.Kind) && (c.service == "" || c.service == first.Service)
	w.mu.Lock()
	defer w.mu.Unlock()
	verdict := "WRONG"
	if ok {
		verdict = "right"
	}
	kind := "quiet"
	if len(c.want) > 0 {
		w.total++
		if ok {
			w.right++
		}
		kind = string(c.want[0])
	}
	w.rows = append(w.rows, fmt.Sprintf("%-6s %-12s %-45s %s", verdict, kind, c.name, or(first.Text, "-")))
	if !ok {
		t.Logf("%s, at %s to %s:\n%s", c.name, x.Since.UTC().Format("15:04:05"), x.Until.UTC().Format("15:04:05"),
			shownWhy(x))
	}
	if !ok && len(c.want) == 0 {
		t.Errorf("a quiet time has a cause: %s", first.Text)
	}
}

// why asks for an explanation of the time from since on.
func (k *trial) why(since time.Time) (x rhumb.Explanation) {
	k.t.Helper()
	r := k.s.rhumb("", "why", k.name, "--since", since.UTC().Format(time.RFC3339), "--format", "json")
	if r.code != 0 {
		k.t.Errorf("why exits with %d: %s", r.code, r.out)
		return x
	}
	if err := json.Unmarshal([]byte(r.out), &x); err != nil {
		k.t.Errorf("why: %v in %s", err, r.out)
	}
	return x
}

// shownWhy returns an explanation for the log of a test.
func shownWhy(x rhumb.Explanation) string {
	var b strings.Builder
	for _, c := range x.Causes {
		fmt.Fprintf(&b, "  cause %s %s/%s: %s\n", c.Kind, c.Stack, c.Service, c.Text)
		for _, e := range c.Evidence {
			fmt.Fprintf(&b, "      %s %s (%.3g, %.3g)\n", e.At.UTC().Format("15:04:05"), e.Text, e.Was, e.Is)
		}
	}
	for _, h := range x.Happened {
		fmt.Fprintf(&b, "  %s %s %s\n", h.At.UTC().Format("15:04:05"), h.Kind, h.Text)
	}
	for _, m := range x.Missing {
		fmt.Fprintf(&b, "  missing: %s\n", m)
	}
	return b.String()
}

func TestWhyNamesARestartOfTheEngine(t *testing.T) {
	if os.Getenv(nestedEnv) == "" {
		needDocker(t)
		needLong(t, 2)
		t.Parallel()
		runNested(t)
		return
	}
	e := startEngine(t)
	docker(t, "load", "-i", os.Getenv("RHUMB_E2E_IMAGE"))
	w := &whyTable{deploying: make(chan struct{}, 1)}
	w.try(t, measuredServer(t), whyCase{name: "a restart of the engine", want: kinds(rhumb.HappenedEngine),
		compose: webTwice, fault: func(*trial) {
			e.stop(syscall.SIGTERM)
			pause(t, 10*time.Second)
			e.start()
		}})
	if w.right != w.total {
		t.Error("another cause was named")
	}
}
