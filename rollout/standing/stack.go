// Package standing works out how each slot of a stack stands. It is pure: the same look has the same standing, asking
// changes nothing, and questions may be asked in any order. It adds no step and sets no timer. Where an answer changes
// only because time passes, it is known when, and Look returns the earliest of these times.
package standing

import (
	"cmp"
	"slices"
	"time"

	"rhumb"
)

// Stack is how a stack stands at one look: what is wanted, what is observed, and both sorted by service.
type Stack struct {
	Wanted   Wanted
	Observed *Observed
	Now      time.Time
	Holdings

	Services []*Service       // of the wanted release, dependencies first
	Orphans  []*rhumb.Replica // of services that the wanted release doesn't have, by service, slot and release
	JobsDue  []*Service       // jobs that must run in this deployment and haven't completed

	byName  map[string]*Service
	joiners map[string][]*rhumb.Replica // alive replicas, by the ID of the replica whose network they share
}

// Of returns how the stack stands. It keeps o and points into it.
func Of(w Wanted, o *Observed, now time.Time) *Stack {
	st := &Stack{Wanted: w, Observed: o, Now: now}
	if m := w.model(); m != nil {
		st.Services = make([]*Service, 0, len(m.Services))
		st.byName = make(map[string]*Service, len(m.Services))
		g := NewGraph(m)
		for _, def := range g.Order {
			s := newService(st, def, g.Edges[def.Name])
			st.Services = append(st.Services, s)
			st.byName[def.Name] = s
		}
	}
	st.Holdings = holdingsOf(st)
	assign(st)
	countFailures(st)
	for _, s := range st.Services { // dependencies first: what shares a network looks at the slots of its owner
		deal(s)
		s.Failures.judge()
		for i := range s.Slots {
			s.Slots[i].judge()
		}
		if s.Due, s.look = due(s); s.Due {
			st.JobsDue = append(st.JobsDue, s)
		}
	}
	markNeeded(st)
	return st
}

// assign sorts the replicas by service. One-offs, in slot 0, belong to no service and are left out.
func assign(st *Stack) {
	for i := range st.Observed.Replicas {
		r := &st.Observed.Replicas[i]
		if r.Slot <= 0 {
			continue
		}
		if r.Joined != "" && r.Alive() {
			if st.joiners == nil {
				st.joiners = map[string][]*rhumb.Replica{}
			}
			st.joiners[r.Joined] = append(st.joiners[r.Joined], r)
		}
		if s := st.byName[r.Service]; s != nil {
			s.All = append(s.All, r)
		} else {
			st.Orphans = append(st.Orphans, r)
		}
	}
	slices.SortFunc(st.Orphans, func(a, b *rhumb.Replica) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Slot, b.Slot),
			cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID, b.ID))
	})
}

// Service returns the wanted service of that name; nil: the wanted release doesn't have it.
func (st *Stack) Service(name string) *Service { return st.byName[name] }

// Joiners returns the alive replicas that share the network of the replica with that ID.
func (st *Stack) Joiners(id string) []*rhumb.Replica { return st.joiners[id] }

// Look returns when to look again because a slot or a job stands differently then, though nothing else happens; zero:
// no time is known.
func (st *Stack) Look() time.Time {
	var at time.Time
	for _, s := range st.Services {
		at = Earliest(at, s.look)
		for i := range s.Slots {
			at = Earliest(at, s.Slots[i].look)
		}
	}
	return at
}

// Earliest returns the earlier of two times; the zero time is none.
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Keeps reports whether a dead replica of the release that is left behind stays until the deployment has converged.
// Putting the stack back would otherwise have to run it again.
func (st *Stack) Keeps(r *rhumb.Replica) bool {
	def := st.Wanted.Previous.Service(r.Service)
	if st.Wanted.Mode != Deploy || st.Wanted.Release == 0 || def == nil || r.Slot > def.Replicas {
		return false
	}
	was := st.Wanted.OldSpecs[def.Name]
	if was == "" {
		was = def.Container.Hash()
	}
	return r.Spec == was && rested(st, def, r) && !st.Observed.Routed(r)
}

// rested reports whether a dead replica is a one-shot that had done its work before this deployment began.
func rested(st *Stack, def *rhumb.Service, r *rhumb.Replica) bool {
	return !def.Job && mayEnd(def) && st.Observed.completed(def, r) && !r.Finished.After(st.Wanted.Since)
}

// OthersServe reports whether new connections go to another replica of the replica's service.
func (st *Stack) OthersServe(r *rhumb.Replica) bool {
	for i := range st.Observed.Replicas {
		other := &st.Observed.Replicas[i]
		if other.Service == r.Service && other.ID != r.ID && other.Alive() && st.Observed.Active(other) {
			return true
		}
	}
	return false
}

// Leavers iterates over all replicas that the wanted release doesn't have.
func (st *Stack) Leavers() func(yield func(*rhumb.Replica) bool) {
	return func(yield func(*rhumb.Replica) bool) {
		for _, s := range st.Services {
			if !s.eachLeaver(yield) {
				return
			}
		}
		for _, r := range st.Orphans {
			if !yield(r) {
				return
			}
		}
	}
}
