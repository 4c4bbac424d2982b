package rollout

import (
	"fmt"
	"slices"
	"time"

	"rhumb"
)

// service is one wanted service with all replicas that bear its name.
type service struct {
	*rhumb.Service
	t        *turn
	prev     *rhumb.Service // in the release that is left behind; nil: it wasn't there
	spec     string
	order    rhumb.Order
	policy   rhumb.Policy
	deps     []rhumb.Dependency
	replicas []*rhumb.Replica
	slots    []slot
	surplus  []*rhumb.Replica
	needed   bool // an unfinished job depends on it
	led      bool // the table leads to its replicas: by ports, by routes, or by an address in a network

	failed  int           // failures in this deployment
	reason  string        // the first one's
	tallies map[int]tally // by slot

	was string // caches oldSpec
	why string // caches whatChanged
}

func (t *turn) newService(def *rhumb.Service, deps []rhumb.Dependency) *service {
	def = def.Applied()
	s := &service{Service: def, t: t, deps: deps, spec: t.w.Specs[def.Name], prev: t.w.Previous.Service(def.Name).Applied()}
	if s.spec == "" {
		s.spec = def.Container.Hash()
	}
	s.led = t.leads(def)
	s.policy = def.Update
	if t.w.Mode == Restore {
		s.policy = def.Rollback
	}
	s.order = def.Order
	if s.prev != nil && s.prev.Order == rhumb.StopFirst {
		s.order = rhumb.StopFirst
	}
	return s
}

// oldSpec gives the spec hash in the release that is left behind; "": the service isn't in it.
func (s *service) oldSpec() string {
	if s.prev == nil || s.was != "" {
		return s.was
	}
	if s.was = s.t.w.OldSpecs[s.Name]; s.was == "" {
		s.was = s.prev.Container.Hash()
	}
	return s.was
}

// changed tells whether the release that is left behind has another spec of the service, or none.
func (s *service) changed() bool { return s.oldSpec() != s.spec }

// awaitsRoute tells whether the replica is known to be of no use outside the table. Of one that neither release at
// hand has made, that isn't known.
func (s *service) awaitsRoute(r *rhumb.Replica) bool {
	switch r.Spec {
	case s.spec:
		return s.led
	case s.oldSpec():
		return s.prev != nil && s.t.leads(s.prev)
	}
	return false
}

// leads tells whether the table leads to a service's replicas.
func (t *turn) leads(def *rhumb.Service) bool {
	if def.Served() || def.Job || def.Container.NetworkMode != "" {
		return def.Served()
	}
	return slices.ContainsFunc(def.Container.Networks, func(a rhumb.Attachment) bool { return t.o.Segments[a.Network] })
}

// serves tells whether an old replica still does its work, as far as can be seen.
func (s *service) serves(r *rhumb.Replica) bool {
	if !r.Alive() || s.t.o.Stopping[r.ID] || s.t.pending(r) {
		return false
	}
	if route, ok := s.t.o.Routes[r.ID]; ok {
		return !route.Draining
	}
	_, ready := s.t.o.Ready[r.ID]
	return ready || !s.awaitsRoute(r)
}

// anyServes tells whether an old replica of the slot still does its work.
func (s *service) anyServes(sl *slot) bool {
	for _, r := range sl.old {
		if s.serves(r) {
			return true
		}
	}
	return false
}

// roll brings all slots one move nearer to the wanted release.
func (s *service) roll() {
	for i := range s.slots {
		s.tend(&s.slots[i])
	}
	free := s.free()
	for i := range s.slots {
		sl := &s.slots[i]
		switch {
		case sl.status != empty && !s.crowded(sl):
		case !sl.alive():
			if s.open() {
				s.start(sl, "", 0)
			}
		case s.replaceable(sl):
			free = s.replace(sl, free)
		}
	}
	for i := range s.slots {
		s.retireOld(&s.slots[i])
	}
	s.sayHowFar()
}

// crowded tells whether an old replica stands beside one of the wanted spec that isn't in place, and the service is
// stop-first: then the old one goes as if the slot were empty.
func (s *service) crowded(sl *slot) bool {
	return s.order == rhumb.StopFirst && (sl.status == broken || sl.status == starting) && sl.alive()
}

// replaceable tells whether the slot's old replicas may be replaced now. Hold leaves an old release's replicas where
// nothing of the wanted one is: a paused deployment stays as it is.
func (s *service) replaceable(sl *slot) bool {
	if s.t.w.Mode != Hold {
		return s.open()
	}
	for _, r := range sl.old {
		if r.Alive() && r.Spec != s.spec {
			return false
		}
	}
	return s.open()
}

// replace begins to change a slot, if a place is free, and tells how many places are left.
func (s *service) replace(sl *slot, free int) int {
	inTheWay := s.inTheWay(sl)
	serves := slices.ContainsFunc(inTheWay, s.serves)
	if len(inTheWay) > 0 && !serves {
		s.goAll(inTheWay) // nothing is lost by that
		if s.order != rhumb.StopFirst && s.anyServes(sl) {
			free-- // its turn comes as soon as the name is free
		}
		return free
	}
	if len(inTheWay) == 0 && !s.anyServes(sl) {
		s.start(sl, "", 0)
		return free // it is in flight already
	}
	if free <= 0 || s.delayed() {
		return free
	}
	if len(inTheWay) > 0 {
		s.goAll(inTheWay)
	} else {
		s.start(sl, "", 0)
	}
	return free - 1
}

// inTheWay lists the old replicas that must be gone before the slot's new one can start: all of them if the service is
// stop-first, else those that have its name.
func (s *service) inTheWay(sl *slot) []*rhumb.Replica {
	if s.order == rhumb.StopFirst {
		return sl.old
	}
	var taken []*rhumb.Replica
	for _, r := range sl.old {
		if r.Release == s.t.w.Release {
			taken = append(taken, r)
		}
	}
	return taken
}

// goAll takes the replicas out.
func (s *service) goAll(rs []*rhumb.Replica) {
	for _, r := range rs {
		s.t.retire(r, s.Drain, s.whyOld(), true)
	}
}

// nameTaken tells whether another replica of the slot has the name that a new one would get.
func (s *service) nameTaken(sl *slot) bool {
	for _, r := range sl.old {
		if r.Release == s.t.w.Release {
			return true
		}
	}
	return false
}

// tend does what the slot's own replica needs.
func (s *service) tend(sl *slot) {
	t, r := s.t, sl.main
	if r != nil && t.leaving[r.ID] != stays {
		return
	}
	switch sl.status {
	case starting:
		if r.State == rhumb.StateCreated {
			if s.joinable() && t.prepared {
				s.start(sl, "", r.Restarts)
			}
		} else if s.led && sl.ready && !(s.waitsForJobs() && s.anyServes(sl)) {
			t.about(rhumb.StepRoute, r, "ready")
		} else if s.led && s.unwatched(sl) && !t.routed(r) && !(s.waitsForJobs() && s.anyServes(sl)) {
			t.about(rhumb.StepRoute, r, "nobody else is there")
		}
	case broken:
		s.heal(sl)
	case resting, lost:
		if r == nil {
			return
		}
		if t.routed(r) {
			t.about(rhumb.StepUnroute, r, sl.reason)
		} else if sl.status == resting && r.ExitCode != 0 && s.unrecorded(r) {
			t.about(rhumb.StepRecord, r, sl.reason)
		}
	}
}

// unwatched reports whether callers should reach a replica before it counts as ready: no other replica is in the table,
// so that keeping them away for the length of a window would only refuse them. Its check must pass already; where
// nothing checks it, the proxy or a planned gap must not be holding the callers anyway.
func (s *service) unwatched(sl *slot) bool {
	if sl.reason != "" || s.t.pending(sl.main) || slices.ContainsFunc(s.replicas, s.t.active) {
		return false
	}
	if s.Ready.Kind != rhumb.ReadyRunning {
		return s.t.o.Accepts[sl.main.ID]
	}
	return !s.Served() && (s.t.w.Mode == Hold || s.prev == nil || sl.main.Restarts > 0)
}

// start starts a replica in the slot once nothing is in its way. replaces is the ID of a dead one, or "".
func (s *service) start(sl *slot, replaces string, restarts int) {
	t := s.t
	if c := s.tallies[sl.n]; replaces == "" && c.count > 0 && !t.passed(c.last.Add(s.backOff(c.count-1))) {
		t.waits(s.Name, fmt.Sprintf("%s.%d %s; tried again soon", s.Name, sl.n, c.reason))
		return
	}
	if !t.prepared || !s.joinable() || s.nameTaken(sl) {
		return
	}
	if s.order == rhumb.StopFirst {
		for _, r := range sl.old {
			if r.Alive() || r.State == rhumb.StateCreated {
				return
			}
		}
	}
	t.step(rhumb.Step{Kind: rhumb.StepStart, Service: s.Name, Release: t.w.Release, Slot: sl.n,
		Replica: replaces, Restarts: restarts, Why: s.whyNew(sl, restarts)})
}

// free is how many further slots may begin to change.
func (s *service) free() int {
	n := s.policy.Parallelism
	if n <= 0 {
		n = len(s.slots)
	}
	for i := range s.slots {
		if s.inFlight(&s.slots[i]) {
			n--
		}
	}
	return n
}

// inFlight tells whether the slot is in the middle of its change.
func (s *service) inFlight(sl *slot) bool {
	switch sl.status {
	case starting, broken:
		return !s.crowded(sl) || !s.anyServes(sl)
	case empty:
		return !s.anyServes(sl)
	case inPlace:
		for _, r := range sl.old {
			if s.order != rhumb.StopFirst && s.t.active(r) {
				return true
			}
		}
	}
	return false
}

// delayed tells whether the next batch must still wait after the last one became ready.
func (s *service) delayed() bool {
	if s.policy.Delay <= 0 {
		return false
	}
	var last time.Time
	for i := range s.slots {
		if sl := &s.slots[i]; sl.ready && s.t.own(sl.main) && sl.since.After(last) {
			last = sl.since
		}
	}
	if last.IsZero() || s.t.passed(last.Add(s.policy.Delay)) {
		return false
	}
	s.t.waits(s.Name, fmt.Sprintf("waits %s between batches", s.policy.Delay))
	return true
}

// sayHowFar says how many slots are ready while some aren't.
func (s *service) sayHowFar() {
	n := 0
	for i := range s.slots {
		if st := s.slots[i].status; st == inPlace || st == resting {
			n++
		}
	}
	if n < len(s.slots) {
		s.t.waits(s.Name, fmt.Sprintf("%d/%d ready", n, len(s.slots)))
	}
}
