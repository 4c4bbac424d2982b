package view

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// screen returns what a terminal shows after written: it plays lines, cursor up and erase below.
func screen(written string) string {
	var lines []string
	up := regexp.MustCompile(`\x1b\[G\x1b\[(\d+)A\x1b\[J`)
	for written != "" {
		if m := up.FindStringSubmatchIndex(written); m != nil && m[0] == 0 {
			n := 0
			for _, c := range written[m[2]:m[3]] {
				n = n*10 + int(c-'0')
			}
			lines = lines[:len(lines)-n]
			written = written[m[1]:]
			continue
		}
		line, rest, _ := strings.Cut(written, "\n")
		lines = append(lines, regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(line, ""))
		written = rest
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestTheBlockShowsEachServiceInItsPlace(t *testing.T) {
	var w bytes.Buffer
	now := time.Now()
	subject := Subject{"shop", []wanted{{name: "db", replicas: 1}, {name: "migrate", replicas: 1, job: true},
		{name: "web", replicas: 3}}}
	b := newBlock(&w, paint{on: true}, subject, func() time.Time { return now })
	send := func(kind rhumb.EventKind, service string, release, slot int) {
		now = now.Add(time.Second)
		b.Event(rhumb.Event{Kind: kind, Stack: "shop", Deployment: 1, Service: service, Release: release, Slot: slot,
			Replica: rhumb.ReplicaName("shop", service, release, slot)})
	}
	check := func(what, want string) {
		t.Helper()
		if diff := cmp.Diff(want, screen(w.String())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	b.Build(rhumb.BuildProgress{Service: "web", Step: "[3/7] RUN make"})
	check("building", `preparing shop  0.0s
 · db       waiting
 · migrate  waiting
 ⠋ web      building [3/7] RUN make  0.0s
`)
	now = now.Add(time.Second)
	b.Event(rhumb.Event{Kind: rhumb.EventPull, Stack: "shop", Service: "migrate", Done: 34, Total: 100})
	b.Event(rhumb.Event{Kind: rhumb.EventDeployment, Stack: "shop", Release: 42, Phase: rhumb.PhaseRolling})
	send(rhumb.EventCompleted, "migrate", 42, 1)
	send(rhumb.EventStarting, "web", 42, 1)
	send(rhumb.EventReady, "web", 42, 1)
	send(rhumb.EventDraining, "web", 41, 1)
	send(rhumb.EventStarted, "web", 42, 2)
	check("rolling", `bringing up shop@42  6.0s
 · db       waiting
 ✔ migrate  completed  1.0s
 ⠋ web      starting 2/3, draining 1  6.0s
`)
	b.Event(rhumb.Event{Kind: rhumb.EventWarning, Stack: "shop", Service: "web", Text: "slow to stop"})
	send(rhumb.EventFailed, "web", 42, 2)
	b.Event(rhumb.Event{Kind: rhumb.EventDeployment, Stack: "shop", Release: 42, Phase: rhumb.PhaseRollingBack})
	send(rhumb.EventStopped, "web", 42, 1)
	send(rhumb.EventReady, "web", 41, 1)
	b.Event(rhumb.Event{Kind: rhumb.EventDeployment, Stack: "shop", Phase: rhumb.PhaseRolledBack})
	b.Close()
	check("rolled back", `! web: slow to stop
shop  9.0s
 · db       unchanged
 ✔ migrate  completed  1.0s
 ✘ web      failed; ready 1/3  9.0s
`)
}

func TestTheBlockNamesDependenciesThatAServiceWaitsFor(t *testing.T) {
	var w bytes.Buffer
	now := time.Now()
	subject := SubjectOf(rhumb.Stack{Name: "shop", Services: []rhumb.Service{
		{Name: "cache", Replicas: 1}, {Name: "db", Replicas: 1},
		{Name: "web", Replicas: 1, DependsOn: []rhumb.Dependency{{Service: "cache"}, {Service: "db"}}}}})
	b := newBlock(&w, paint{on: true}, subject, func() time.Time { return now })
	db := rhumb.Event{Stack: "shop", Service: "db", Replica: "shop-db.42.1", Slot: 1, Release: 42}
	b.Event(rhumb.Event{Kind: rhumb.EventDeployment, Stack: "shop", Release: 42, Phase: rhumb.PhaseRolling})
	db.Kind = rhumb.EventStarting
	b.Event(db)
	b.Hold("db", 3, 2*time.Second)
	const begun = `bringing up shop@42  0.0s
 · cache  waiting
 ⠋ db     starting 1/1; requests wait: 3 for 2s  0.0s
 · web    waiting for db
`
	if got := screen(w.String()); got != begun {
		t.Errorf("got\n%swant\n%s", got, begun)
	}
	b.Hold("db", 0, 0)
	db.Kind = rhumb.EventReady
	b.Event(db)
	const ready = `bringing up shop@42  0.0s
 · cache  waiting
 ✔ db     ready 1/1  0.0s
 · web    waiting
`
	if got := screen(w.String()); got != ready {
		t.Errorf("got\n%swant\n%s", got, ready)
	}
}

func TestNothingTurnsOnceTheDeploymentHasEnded(t *testing.T) {
	var w bytes.Buffer
	now := time.Now()
	subject := Subject{"shop", []wanted{{name: "web", replicas: 1}}}
	b := newBlock(&w, paint{on: true}, subject, func() time.Time { return now })
	b.Event(rhumb.Event{Kind: rhumb.EventReady, Stack: "shop", Service: "web", Replica: "shop-web.42.1", Slot: 1,
		Release: 42})
	b.Event(rhumb.Event{Kind: rhumb.EventDraining, Stack: "shop", Service: "web", Replica: "shop-web.41.1", Slot: 1,
		Release: 41})
	b.Event(rhumb.Event{Kind: rhumb.EventDeployment, Stack: "shop", Phase: rhumb.PhaseConverged})
	b.Close()
	if got, want := screen(w.String()), "shop  0.0s\n ✔ web  ready 1/1, draining 1  0.0s\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestALineIsCutAtTheTerminalsWidthNotCountingColours(t *testing.T) {
	if got := cut("\x1b[31mabcdef\x1b[0m", 3, "\x1b[0m"); got != "\x1b[31mabc\x1b[0m" {
		t.Errorf("got %q", got)
	}
	if got := cut("\x1b[31mabc\x1b[0m", 3, "\x1b[0m"); got != "\x1b[31mabc\x1b[0m" {
		t.Errorf("got %q", got)
	}
}
