package standing

import (
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
		givenUp, look := s.Failures.givenUp(sl.N)
		sl.look = Earliest(sl.look, look)
		if givenUp {
			sl.Status = GivenUp
		} else if r != nil {
			sl.Status = Starting
		}
	case !r.Alive():
		status, look := sl.judgeDead()
		sl.Status, sl.Reason = status, DeathOf(r)
		sl.look = Earliest(sl.look, look)
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
// other one runs. look is when to decide again.
func (sl *Slot) judgeDead() (is Status, look time.Time) {
	r, s := sl.Main, sl.of
	w := &s.st.Wanted
	asItWas := w.Mode == Hold || w.Mode == Restore && !w.Made(r)
	switch {
	case asItWas && (s.Completed(r) || leftDead(s.Service, r)) && (w.Mode == Hold || !sl.OldAlive()):
		return Resting, look
	case s.Completed(r) && mayEnd(s.Service):
		return Resting, look
	case !s.st.Observed.Recorded[r.ID]:
		return Broken, look
	}
	givenUp, look := s.Failures.givenUp(sl.N)
	if givenUp {
		return GivenUp, look
	}
	return Broken, look
}
