package rollout

import (
	"cmp"
	"slices"
	"time"

	"rhumb"
)

// turn is one call of Next: what is wanted and what is observed, sorted by service, and the decision that grows.
type turn struct {
	w   Wanted
	o   *Observed
	now time.Time
	d   Decision

	services []*service // wanted, dependencies first
	byName   map[string]*service
	orphans  []*rhumb.Replica            // of services that aren't wanted
	joiners  map[string][]*rhumb.Replica // alive replicas, by the ID of the one whose network they share
	leaving  map[string]leaving          // by replica ID: what this turn has said of its end
	wanted   []address                   // all that the wanted services have
	prepared bool                        // networks, volumes and, in a deployment, new addresses are there
	jobsWait []*service                  // jobs that must run and haven't completed
}

func newTurn(w Wanted, o *Observed, now time.Time) *turn {
	t := &turn{w: w, o: o, now: now, leaving: map[string]leaving{}}
	if w.Model != nil && w.Release != 0 {
		t.services = make([]*service, 0, len(w.Model.Services))
		t.byName = make(map[string]*service, len(w.Model.Services))
		g := newGraph(w.Model)
		for _, def := range g.order {
			s := t.newService(def, g.edges[def.Name])
			t.services = append(t.services, s)
			t.byName[def.Name] = s
		}
	}
	t.listAddresses()
	t.sortReplicas()
	t.sortFailures()
	for _, s := range t.services {
		s.judge()
		if s.mustRun() {
			t.jobsWait = append(t.jobsWait, s)
		}
	}
	t.markNeeded()
	return t
}

// sortReplicas gives each replica to its service. One-offs are nobody's.
func (t *turn) sortReplicas() {
	for i := range t.o.Replicas {
		r := &t.o.Replicas[i]
		if r.Slot <= 0 {
			continue
		}
		if r.Joined != "" && r.Alive() {
			if t.joiners == nil {
				t.joiners = map[string][]*rhumb.Replica{}
			}
			t.joiners[r.Joined] = append(t.joiners[r.Joined], r)
		}
		if s := t.byName[r.Service]; s != nil {
			s.replicas = append(s.replicas, r)
		} else {
			t.orphans = append(t.orphans, r)
		}
	}
	slices.SortFunc(t.orphans, byPlace)
}

// byPlace orders replicas by service, slot, release and ID.
func byPlace(a, b *rhumb.Replica) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Slot, b.Slot),
		cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID, b.ID))
}

// step adds a step to the decision.
func (t *turn) step(s rhumb.Step) {
	s.Stack = t.w.Stack
	t.d.Steps = append(t.d.Steps, s)
}

// about adds a step that is about a replica.
func (t *turn) about(kind rhumb.StepKind, r *rhumb.Replica, why string) {
	t.step(rhumb.Step{Kind: kind, Service: r.Service, Release: r.Release, Slot: r.Slot, Replica: r.ID, Why: why})
}

// wake asks for a look at that time, if it is still to come.
func (t *turn) wake(at time.Time) {
	if at.After(t.now) && (t.d.Wake.IsZero() || at.Before(t.d.Wake)) {
		t.d.Wake = at
	}
}

// passed tells whether the time has come, and asks for a look then if it hasn't.
func (t *turn) passed(at time.Time) bool {
	if !t.now.Before(at) {
		return true
	}
	t.wake(at)
	return false
}

// waits says what a service waits for. The first word counts.
func (t *turn) waits(service, what string) {
	if t.d.Waiting == nil {
		t.d.Waiting = map[string]string{}
	}
	if t.d.Waiting[service] == "" {
		t.d.Waiting[service] = what
	}
}

// active tells whether the acknowledged table leads new connections to the replica.
func (t *turn) active(r *rhumb.Replica) bool {
	route, ok := t.o.Routes[r.ID]
	return ok && !route.Draining
}

// routed tells whether the replica is in the acknowledged table at all.
func (t *turn) routed(r *rhumb.Replica) bool {
	_, ok := t.o.Routes[r.ID]
	return ok
}

// own tells whether this deployment has made the replica.
func (t *turn) own(r *rhumb.Replica) bool {
	if r.Release != t.w.Release {
		return false
	}
	made := r.Started
	if made.IsZero() {
		made = r.Created
	}
	return made.IsZero() || t.w.Since.IsZero() || !made.Before(t.w.Since)
}
