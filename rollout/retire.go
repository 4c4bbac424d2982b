package rollout

import (
	"slices"
	"time"

	"rhumb"
)

// leaving is what a turn has said of a replica's end.
type leaving int

const (
	stays       leaving = iota
	goes                // it goes; those that share its network are waited for
	goesWithAll         // those that share its network go too
)

// retire takes a replica one move nearer to its end: draining, out of the table, stopped, removed. It is never
// stopped while the acknowledged table has it. A replica whose network others share waits for them; with cascade they
// go first.
func (t *turn) retire(r *rhumb.Replica, drain time.Duration, why string, cascade bool) {
	switch t.leaving[r.ID] {
	case goes:
		if cascade { // who has asked before could wait; who asks now can't
			t.leaving[r.ID] = goesWithAll
			t.shared(r, drain, why, true)
		}
		return
	case goesWithAll:
		return
	}
	t.leaving[r.ID] = goes
	if cascade {
		t.leaving[r.ID] = goesWithAll
	}
	route, routed := t.o.Routes[r.ID]
	switch {
	case routed && !r.Alive():
		t.about(rhumb.StepUnroute, r, deathOf(r))
	case routed && !route.Draining:
		t.about(rhumb.StepDrain, r, why)
	case routed:
		if drained, limit := t.drained(r, route, drain); drained || t.passed(route.Since.Add(limit)) {
			t.about(rhumb.StepUnroute, r, why)
		} else {
			t.waits(r.Service, "waits for "+r.Name()+" to drain")
		}
	case !r.Alive():
		t.about(rhumb.StepRemove, r, why)
	case t.o.Stopping[r.ID]:
		t.waits(r.Service, "waits for "+r.Name()+" to stop")
	case t.shared(r, drain, why, cascade):
	default:
		t.about(rhumb.StepStop, r, why)
	}
}

// drained reports whether a draining replica may leave the table, and how long it may take at most. Where nothing else
// serves, callers wait already or aren't wanted any more: then kept connections between two requests don't count.
func (t *turn) drained(r *rhumb.Replica, route Route, drain time.Duration) (drained bool, limit time.Duration) {
	s := t.byName[r.Service]
	if t.othersServe(r) {
		return route.Open <= 0, drain
	}
	if s != nil && s.order == rhumb.StopFirst && s.Replicas > 0 {
		drain = min(drain, s.GapDrain()) // callers wait: the rest of the gap should be the application's own stop and start
	}
	return route.Busy <= 0, drain
}

// othersServe reports whether new connections go to another replica of the replica's service.
func (t *turn) othersServe(r *rhumb.Replica) bool {
	for i := range t.o.Replicas {
		other := &t.o.Replicas[i]
		if other.Service == r.Service && other.ID != r.ID && other.Alive() && t.active(other) {
			return true
		}
	}
	return false
}

// shared tells whether alive replicas still share the replica's network.
func (t *turn) shared(r *rhumb.Replica, drain time.Duration, why string, cascade bool) bool {
	others := t.joiners[r.ID]
	for _, other := range others {
		if cascade {
			t.retire(other, drain, why, true)
		}
	}
	return len(others) > 0
}

// retireOld takes out the slot's old replicas as soon as nothing is lost by it.
func (s *service) retireOld(sl *slot) {
	for _, r := range sl.old {
		if s.mayGo(sl, r) {
			s.t.retire(r, s.Drain, s.whyOld(), s.order == rhumb.StopFirst)
		}
	}
}

// mayGo tells whether an old replica has done its work.
func (s *service) mayGo(sl *slot, r *rhumb.Replica) bool {
	t := s.t
	if !r.Alive() {
		return !t.keeps(r)
	}
	if s.strayed(r) {
		return true
	}
	if s.waitsForJobs() && (s.serves(r) || s.untouched(r)) {
		return false
	}
	rests := sl.status == resting && s.completed(sl.main)
	if sl.status == inPlace || rests {
		return true
	}
	if s.order == rhumb.StopFirst {
		return !s.serves(r)
	}
	if route, ok := t.o.Routes[r.ID]; ok {
		return route.Draining
	}
	if s.outdone(sl, r) {
		return true
	}
	if !s.awaitsRoute(r) {
		return false
	}
	// It is in nobody's way and nobody's help: an earlier deployment, or the one that is put back, has left it before it
	// was in the table. Hold leaves a paused deployment's as they are.
	return !s.serves(r) && (t.w.Mode != Hold || sl.main != nil)
}

// untouched tells whether the replica is the left release's, alive, and not on its way out: ready or not, it stays as it is until the
// jobs have run.
func (s *service) untouched(r *rhumb.Replica) bool {
	route, routed := s.t.o.Routes[r.ID]
	return r.Spec == s.oldSpec() && s.changed() && !(routed && route.Draining) && !s.t.o.Stopping[r.ID] && !s.t.o.Recorded[r.ID]
}

// outdone tells whether another old replica of the slot surely does this one's work: one that is ready while this one
// isn't, or that the release which is left behind has made.
func (s *service) outdone(sl *slot, r *rhumb.Replica) bool {
	_, ready := s.t.o.Ready[r.ID]
	if ready && r.Spec == s.oldSpec() {
		return false
	}
	return slices.ContainsFunc(sl.old, func(other *rhumb.Replica) bool {
		_, otherReady := s.t.o.Ready[other.ID]
		works := s.t.active(other) || !s.t.routed(other) && !s.awaitsRoute(other)
		return otherReady && works && other != r && s.serves(other) && (!ready || other.Spec == s.oldSpec())
	})
}

// strayed tells whether the replica shares the network of one that is gone: nothing reaches it any more.
func (s *service) strayed(r *rhumb.Replica) bool {
	on := s.t.byName[networkOf(s.Service)]
	return r.Spec == s.spec && r.Joined != "" && on != nil && on != s && !s.t.aliveID(on, r.Joined)
}
