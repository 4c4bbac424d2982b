package rollout

import (
	"cmp"
	"time"

	"rhumb"
)

// status is how a slot stands.
type status int

const (
	empty    status = iota // no replica of the wanted spec
	starting               // its replica isn't ready, or isn't routed yet
	inPlace                // its replica is ready, and routed if the table leads to the service
	resting                // its replica has ended, and the restart policy leaves it so
	broken                 // its replica is dead or must die, and will be replaced
	lost                   // its replica has failed, and is given up
)

// slot is one numbered place of a wanted service.
type slot struct {
	n      int
	main   *rhumb.Replica   // of the wanted spec, the best if there are several; nil: none
	old    []*rhumb.Replica // all others
	status status
	ready  bool
	since  time.Time // since when main is ready
	reason string    // why main is broken, in plain words
}

// alive tells whether any old replica of the slot is alive.
func (sl *slot) alive() bool {
	for _, r := range sl.old {
		if r.Alive() {
			return true
		}
	}
	return false
}

// sort puts the service's replicas into its slots.
func (s *service) sort() {
	s.slots = make([]slot, max(0, s.Replicas))
	for i := range s.slots {
		s.slots[i].n = i + 1
	}
	for _, r := range s.replicas {
		if r.Slot > len(s.slots) {
			s.surplus = append(s.surplus, r)
			continue
		}
		sl := &s.slots[r.Slot-1]
		switch {
		case !s.current(r):
			sl.old = append(sl.old, r)
		case sl.main == nil:
			sl.main = r
		case s.better(r, sl.main):
			sl.old = append(sl.old, sl.main)
			sl.main = r
		default:
			sl.old = append(sl.old, r)
		}
	}
}

// current tells whether the replica is as wanted. A created one of another release can't be started under its name.
func (s *service) current(r *rhumb.Replica) bool {
	if r.Spec != s.spec || r.State == rhumb.StateCreated && r.Release != s.t.w.Release {
		return false
	}
	if r.State != rhumb.StateCreated && !r.Alive() && s.leftover(r) {
		return false
	}
	if s.t.o.Severed[r.ID] && s.restarts() {
		return false
	}
	return !s.misjoined(r) // a dead one too: it was not its own fault
}

// leftover tells whether a dead replica is one that a deployment has stopped before another came back to its spec.
func (s *service) leftover(r *rhumb.Replica) bool {
	if s.t.w.Mode == Restore && s.t.rested(s.Service, r) {
		return false
	}
	return s.t.w.Mode != Hold && !s.t.own(r) && (s.changed() || r.Slot > s.prev.Replicas)
}

// rested reports whether a dead replica is a one-shot that had done its work before this deployment began.
func (t *turn) rested(def *rhumb.Service, r *rhumb.Replica) bool {
	s := service{Service: def, t: t}
	return !def.Job && s.mayEnd() && s.completed(r) && !r.Finished.After(t.w.Since)
}

// keeps reports whether a dead replica of the release that is left behind stays until the deployment has converged: were
// it removed, putting the stack back would have to run it again.
func (t *turn) keeps(r *rhumb.Replica) bool {
	def := t.w.Previous.Service(r.Service)
	if t.w.Mode != Deploy || t.w.Release == 0 || def == nil || r.Slot > def.Replicas {
		return false
	}
	was := t.w.OldSpecs[def.Name]
	if was == "" {
		was = def.Container.Hash()
	}
	return r.Spec == was && t.rested(def, r) && !t.routed(r)
}

// misjoined tells whether the replica shares the network of a replica that isn't there, or that won't stay while
// there is one that will.
func (s *service) misjoined(r *rhumb.Replica) bool {
	on := s.t.byName[networkOf(s.Service)]
	if r.Joined == "" || on == nil || on == s {
		return false
	}
	if !s.t.aliveID(on, r.Joined) {
		return true
	}
	other := false
	for i := range on.slots {
		if m := on.slots[i].main; m != nil && m.Alive() {
			if m.ID == r.Joined {
				return false
			}
			other = true
		}
	}
	return other
}

// aliveID tells whether the service has an alive replica of that ID.
func (t *turn) aliveID(s *service, id string) bool {
	for _, r := range s.replicas {
		if r.ID == id {
			return r.Alive()
		}
	}
	return false
}

// better tells which of two replicas of the wanted spec shall be the slot's.
func (s *service) better(a, b *rhumb.Replica) bool {
	return cmp.Or(cmp.Compare(s.rank(a), s.rank(b)), cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID, b.ID)) > 0
}

func (s *service) rank(r *rhumb.Replica) int {
	_, ready := s.ready(r)
	switch {
	case r.State == rhumb.StateCreated:
		return 2
	case !r.Alive() && r.Release == s.t.w.Release:
		return 1 // its name must be free before another can have it
	case !r.Alive():
		return 0
	case s.t.o.Stopping[r.ID]:
		return 3
	case s.failing(r) != "":
		return 4
	case ready && s.t.active(r):
		return 9
	case ready && s.t.routed(r):
		return 8
	case ready:
		return 7
	case s.t.routed(r):
		return 6
	}
	return 5
}

// judge finds out how each slot stands.
func (s *service) judge() {
	s.sort()
	for i := range s.slots {
		sl := &s.slots[i]
		r := sl.main
		switch {
		case r == nil || r.State == rhumb.StateCreated:
			if s.gaveUp(sl.n) {
				sl.status = lost
			} else if r != nil {
				sl.status = starting
			}
		case !r.Alive():
			sl.reason = deathOf(r)
			sl.status = s.judgeDead(sl)
		case s.t.o.Stopping[r.ID]:
			sl.status, sl.reason = broken, "is being stopped"
		default:
			sl.since, sl.ready = s.ready(r)
			sl.reason = s.failing(r)
			sl.status = s.judgeAlive(sl)
		}
	}
}

func (s *service) judgeAlive(sl *slot) status {
	switch {
	case sl.reason != "":
		return broken
	case sl.ready && (!s.led || s.t.active(sl.main)):
		return inPlace
	}
	return starting
}

// judgeDead decides whether a dead replica rests, is lost, or will be replaced. Holding and putting back leave what
// the restart policy leaves. A deployment leaves only what has done its work: whom it calls converged must be there.
func (s *service) judgeDead(sl *slot) status {
	r, t := sl.main, s.t
	asItWas := t.w.Mode == Hold || t.w.Mode == Restore && !t.own(r)
	switch {
	case asItWas && (s.completed(r) || s.leftDead(r)) && (t.w.Mode == Hold || !sl.alive()):
		return resting
	case s.completed(r) && s.mayEnd():
		return resting
	case t.o.Recorded[r.ID] && s.gaveUp(sl.n):
		return lost
	}
	return broken
}

// mayEnd tells whether the service's replicas may have done their work for good by ending: nobody is led to them from
// outside, and nothing asks them whether they are ready.
func (s *service) mayEnd() bool {
	return !s.Served() && (s.Ready.Kind == "" || s.Ready.Kind == rhumb.ReadyRunning || s.Ready.Kind == rhumb.ReadyExit)
}

// completed tells whether the dead replica has done its work, and the restart policy leaves it at that. One that was
// stopped because it had failed has not.
func (s *service) completed(r *rhumb.Replica) bool {
	if s.overdue(r) || r.State != rhumb.StateExited || r.ExitCode != 0 || r.Error != "" || r.OOM || r.Started.IsZero() || s.t.o.Recorded[r.ID] {
		return false
	}
	return s.Job || s.Restart.Condition == rhumb.RestartOnFailure || s.Restart.Condition == rhumb.RestartNone
}

// restarts tells whether the service's replicas come back however they ended: only then may one be stopped to be replaced.
func (s *service) restarts() bool {
	return (s.Restart.Condition == rhumb.RestartAny || s.Restart.Condition == "") && s.Restart.MaxAttempts == 0
}

// leftDead tells whether the restart policy leaves the dead replica as it is.
func (s *service) leftDead(r *rhumb.Replica) bool {
	return s.Restart.Condition == rhumb.RestartNone || s.Restart.MaxAttempts > 0 && crashes(r) >= s.Restart.MaxAttempts
}
