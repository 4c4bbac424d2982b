package standing

import (
	"cmp"
	"slices"
	"time"

	"rhumb"
)

// Status is how a slot stands.
type Status int

const (
	Empty    Status = iota // no replica of the wanted spec
	Starting               // its replica isn't ready, or isn't routed yet
	InPlace                // its replica is ready, and routed if the table has routes to the service
	Resting                // its replica has ended, and the restart policy leaves it so
	Broken                 // its replica is dead or must be stopped, and will be replaced
	GivenUp                // its replica has failed and isn't tried again
)

// Slot is one numbered place of a wanted service.
type Slot struct {
	N      int
	Main   *rhumb.Replica   // of the wanted spec, the best if there are several; nil: none
	Old    []*rhumb.Replica // all others
	Status Status
	Ready  bool
	Since  time.Time // since when Main is ready
	Reason string    // why Main is broken, in plain words

	of   *Service
	look time.Time // when it stands differently though nothing else happens
}

// Settled reports whether the slot needs nothing more.
func (sl *Slot) Settled() bool {
	return sl.Status == InPlace || sl.Status == Resting || sl.Status == GivenUp
}

// OldAlive reports whether any old replica of the slot is alive.
func (sl *Slot) OldAlive() bool {
	return slices.ContainsFunc(sl.Old, (*rhumb.Replica).Alive)
}

// OldServes reports whether any old replica of the slot still does its work.
func (sl *Slot) OldServes() bool { return slices.ContainsFunc(sl.Old, sl.of.Serves) }

// NameTaken reports whether an old replica of the slot has the name that a new one would get.
func (sl *Slot) NameTaken() bool {
	return slices.ContainsFunc(sl.Old, sl.namesake)
}

// namesake reports whether an old replica has the name that a new one would get.
func (sl *Slot) namesake(r *rhumb.Replica) bool { return r.Release == sl.of.st.Wanted.Release }

// InTheWay returns the old replicas that must be gone before the slot's new one can start: all of them if the service
// is stop-first, else those that have its name.
func (sl *Slot) InTheWay() []*rhumb.Replica {
	if sl.of.Order == rhumb.StopFirst {
		return sl.Old
	}
	var taken []*rhumb.Replica
	for _, r := range sl.Old {
		if sl.namesake(r) {
			taken = append(taken, r)
		}
	}
	return taken
}

// judge finds out how the slot stands.
func (sl *Slot) judge() {
	s, r := sl.of, sl.Main
	switch {
	case r == nil || r.State == rhumb.StateCreated:
		if sl.judgeGivenUp() {
			sl.Status = GivenUp
		} else if r != nil {
			sl.Status = Starting
		}
	case !r.Alive():
		sl.Reason = DeathOf(r)
		sl.Status = sl.judgeDead()
	case s.st.Observed.Stopping[r.ID]:
		sl.Status, sl.Reason = Broken, "is being stopped"
	default:
		is := s.readiness(r)
		sl.Since, sl.Ready, sl.Reason = is.since, is.ready, is.failing
		sl.look = Earliest(sl.look, is.look)
		sl.Status = sl.judgeAlive()
	}
}

func (sl *Slot) judgeAlive() Status {
	switch {
	case sl.Reason != "":
		return Broken
	case sl.Ready && (!sl.of.HasRoutes || sl.of.st.Observed.Active(sl.Main)):
		return InPlace
	}
	return Starting
}

// judgeDead decides whether a dead replica rests, is given up, or will be replaced. Holding and putting back leave what
// the restart policy leaves. A deployment leaves only a replica that has done its work: once it has converged, every
// other one runs.
func (sl *Slot) judgeDead() Status {
	r, s := sl.Main, sl.of
	w := &s.st.Wanted
	asItWas := w.Mode == Hold || w.Mode == Restore && !w.Made(r)
	switch {
	case asItWas && (s.Completed(r) || leftDead(s.Service, r)) && (w.Mode == Hold || !sl.OldAlive()):
		return Resting
	case s.Completed(r) && mayEnd(s.Service):
		return Resting
	case s.st.Observed.Recorded[r.ID] && sl.judgeGivenUp():
		return GivenUp
	}
	return Broken
}

// judgeGivenUp decides whether the slot has failed and isn't tried again.
func (sl *Slot) judgeGivenUp() bool {
	f := &sl.of.Failures
	sl.look = Earliest(sl.look, f.look)
	return f.givenUp(sl.N)
}

// deal puts the service's replicas into its slots.
func (s *Service) deal() {
	s.Slots = make([]Slot, max(0, s.Replicas))
	for i := range s.Slots {
		s.Slots[i].N, s.Slots[i].of = i+1, s
	}
	for _, r := range s.All {
		if r.Slot > len(s.Slots) {
			s.Surplus = append(s.Surplus, r)
			continue
		}
		sl := &s.Slots[r.Slot-1]
		switch {
		case !s.current(r):
			sl.Old = append(sl.Old, r)
		case sl.Main == nil:
			sl.Main = r
		default:
			best, other := sl.Main, r
			if s.better(r, sl.Main) {
				best, other = r, sl.Main
			}
			sl.Main, sl.Old = best, append(sl.Old, other)
			sl.look = Earliest(sl.look, s.readiness(other).look) // it may be the better one by then
		}
	}
}

// judge finds out how each slot stands, once the replicas are dealt.
func (s *Service) judge() {
	s.Failures.judge()
	for i := range s.Slots {
		s.Slots[i].judge()
	}
}

// current reports whether the replica is as wanted. A created replica of another release has another name, so it can't
// be started as the wanted one.
func (s *Service) current(r *rhumb.Replica) bool {
	if r.Spec != s.Spec || r.State == rhumb.StateCreated && r.Release != s.st.Wanted.Release {
		return false
	}
	if r.State != rhumb.StateCreated && !r.Alive() && s.leftover(r) {
		return false
	}
	if s.st.Observed.Severed[r.ID] && comesBack(s.Service) {
		return false
	}
	return !s.misjoined(r) // even if it is dead: that was not its own failure
}

// leftover reports whether an earlier deployment stopped the dead replica, before another one came back to its spec.
func (s *Service) leftover(r *rhumb.Replica) bool {
	w := &s.st.Wanted
	if w.Mode == Restore && s.st.rested(s.Service, r) {
		return false
	}
	return w.Mode != Hold && !w.Made(r) && (s.Changed() || r.Slot > s.Prev.Replicas)
}

// misjoined reports whether the replica shares the network of a replica that is gone, or that won't stay while another
// one will.
func (s *Service) misjoined(r *rhumb.Replica) bool {
	on := s.st.byName[NetworkOf(s.Service)]
	if r.Joined == "" || on == nil || on == s {
		return false
	}
	if !on.alive(r.Joined) {
		return true
	}
	other := false
	for i := range on.Slots {
		if m := on.Slots[i].Main; m != nil && m.Alive() {
			if m.ID == r.Joined {
				return false
			}
			other = true
		}
	}
	return other
}

// better reports whether a is to be the slot's rather than b, where both are of the wanted spec.
func (s *Service) better(a, b *rhumb.Replica) bool {
	return cmp.Or(cmp.Compare(s.rank(a), s.rank(b)), cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID, b.ID)) > 0
}

func (s *Service) rank(r *rhumb.Replica) int {
	o, is := s.st.Observed, s.readiness(r)
	switch {
	case r.State == rhumb.StateCreated:
		return 2
	case !r.Alive() && r.Release == s.st.Wanted.Release:
		return 1 // its name must be free before another replica can have it
	case !r.Alive():
		return 0
	case o.Stopping[r.ID]:
		return 3
	case is.failing != "":
		return 4
	case is.ready && o.Active(r):
		return 9
	case is.ready && o.Routed(r):
		return 8
	case is.ready:
		return 7
	case o.Routed(r):
		return 6
	}
	return 5
}
