package rollout

import (
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// turn is one call of Next: how the stack stands, which doesn't change, and the decision, which grows.
type turn struct {
	*standing.Stack
	d       Decision
	why     reasons
	look    time.Time          // when to decide again, apart from what slots and waits say
	waiting []wait             // in the order in which they were found
	leaving map[string]leaving // by replica ID: how this turn has decided to retire it
}

// wait is what a service waits for.
type wait struct {
	service string
	what    string    // in plain words
	until   time.Time // when to look again; zero: once something changes
}

func newTurn(st *standing.Stack) *turn {
	return &turn{Stack: st, why: reasons{st: st}, leaving: map[string]leaving{}}
}

// decision returns the decision with all that is waited for. Of several waits of one service, people read the first.
func (t *turn) decision() Decision {
	t.d.Wake = t.wake()
	for _, w := range t.waiting {
		if t.d.Waiting == nil {
			t.d.Waiting = map[string]string{}
		}
		if t.d.Waiting[w.service] == "" {
			t.d.Waiting[w.service] = w.what
		}
	}
	return t.d
}

// wake returns when to look again at the latest. All times come together here, and nowhere else.
func (t *turn) wake() time.Time {
	at := standing.Earliest(t.Look(), t.look)
	for _, w := range t.waiting {
		at = standing.Earliest(at, w.until)
	}
	return at
}

// step adds a step to the decision.
func (t *turn) step(s rhumb.Step) {
	s.Stack = t.Wanted.Stack
	t.d.Steps = append(t.d.Steps, s)
}

// about adds a step that is about a replica.
func (t *turn) about(kind rhumb.StepKind, r *rhumb.Replica, why string) {
	t.step(rhumb.Step{Kind: kind, Service: r.Service, Release: r.Release, Slot: r.Slot, Replica: r.ID, Why: why})
}

// wait notes what a service waits for until something changes.
func (t *turn) wait(service, what string) { t.waitUntil(service, what, time.Time{}) }

// waitUntil notes what a service waits for, and until when at the latest.
func (t *turn) waitUntil(service, what string, at time.Time) {
	t.waiting = append(t.waiting, wait{service, what, at})
}
