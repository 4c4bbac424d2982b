package rollout

import (
	"fmt"
	"slices"
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// rolling is the strategy that changes a service slot by slot, start-first or stop-first, as many slots at a time as
// its policy says.
type rolling struct {
	*turn
	s *standing.Service
}

// roll brings all slots one move nearer to the wanted release.
func roll(t *turn, s *standing.Service) {
	m := rolling{t, s}
	for i := range s.Slots {
		m.tend(&s.Slots[i])
	}
	free, blocked := m.free(), s.Blocked()
	for i := range s.Slots {
		sl := &s.Slots[i]
		switch {
		case sl.Status != standing.Empty && !m.crowded(sl):
		case m.heldAsItIs(sl):
		case blocked != "":
			t.wait(s.Name, blocked)
		case !sl.OldAlive():
			m.start(sl, "", 0)
		default:
			free = m.replace(sl, free)
		}
	}
	for i := range s.Slots {
		m.retireOld(&s.Slots[i])
	}
	if how := howFar(s); how != "" {
		t.wait(s.Name, how)
	}
}

// tend does what the slot's own replica needs.
func (m *rolling) tend(sl *standing.Slot) {
	r := sl.Main
	if r != nil && m.leaving[r.ID] != stays {
		return
	}
	switch sl.Status {
	case standing.Starting:
		if r.State == rhumb.StateCreated {
			m.startCreated(sl)
		} else if m.mayRoute(sl) {
			if sl.Ready {
				m.about(rhumb.StepRoute, r, "ready")
			} else if m.unwatched(sl) {
				m.about(rhumb.StepRoute, r, "no other replica is there")
			}
		}
	case standing.Broken:
		m.heal(sl)
	case standing.Resting, standing.GivenUp:
		if r == nil {
			return
		}
		if m.Observed.Routed(r) {
			m.about(rhumb.StepUnroute, r, sl.Reason)
		} else if sl.Status == standing.Resting && r.ExitCode != 0 && m.s.Unrecorded(r) {
			m.about(rhumb.StepRecord, r, sl.Reason)
		}
	}
}

// mayRoute reports whether the table may get a route to the slot's replica. While jobs must run, an old replica that
// serves gets all connections.
func (m *rolling) mayRoute(sl *standing.Slot) bool {
	return m.s.HasRoutes && !(m.s.WaitsForJobs() && sl.OldServes())
}

// unwatched reports whether callers should reach a replica before it counts as ready: no other replica is in the table,
// so that keeping callers away for the length of a window would only refuse them. Its check must pass already. Where
// nothing checks it, neither the proxy nor a planned gap may be holding the callers anyway.
func (m *rolling) unwatched(sl *standing.Slot) bool {
	o, r := m.Observed, sl.Main
	if sl.Reason != "" || o.Pending(r) || o.Routed(r) || slices.ContainsFunc(m.s.All, o.Active) {
		return false
	}
	if m.s.Ready.Kind != rhumb.ReadyRunning {
		return o.Accepts[r.ID]
	}
	return !m.s.Served() && (m.Wanted.Mode == Hold || m.s.Prev == nil || r.Restarts > 0)
}

// startCreated starts the slot's replica whose start was cut off after it was created.
func (m *rolling) startCreated(sl *standing.Slot) {
	if why := m.s.Unjoined(); why != "" {
		m.wait(m.s.Name, why)
	} else if m.Prepared() {
		m.start(sl, "", sl.Main.Restarts)
	}
}

// start starts a replica in the slot once nothing is in its way. replaces is the ID of a dead one, or "".
func (m *rolling) start(sl *standing.Slot, replaces string, restarts int) {
	s := m.s
	if c := s.Failures.In(sl.N); replaces == "" && c.Count > 0 {
		if at := c.Last.Add(standing.BackOff(s.Service, c.Count-1)); m.Now.Before(at) {
			m.waitUntil(s.Name, fmt.Sprintf("%s.%d %s; tried again soon", s.Name, sl.N, c.Reason), at)
			return
		}
	}
	if !m.Prepared() {
		return
	}
	if why := s.Unjoined(); why != "" {
		m.wait(s.Name, why)
		return
	}
	if sl.NameTaken() || s.Order == rhumb.StopFirst && slices.ContainsFunc(sl.Old, mayRun) {
		return
	}
	m.step(rhumb.Step{Kind: rhumb.StepStart, Service: s.Name, Release: m.Wanted.Release, Slot: sl.N,
		Replica: replaces, Restarts: restarts, Why: m.why.start(s, sl.N, restarts)})
}

// mayRun reports whether a replica runs, or may run by now: a created one may be about to start.
func mayRun(r *rhumb.Replica) bool { return r.Alive() || r.State == rhumb.StateCreated }

// heldAsItIs reports whether Hold leaves the slot as it is, because a replica of another spec is alive there: that is
// how a paused deployment leaves slots.
func (m *rolling) heldAsItIs(sl *standing.Slot) bool {
	return m.Wanted.Mode == Hold && slices.ContainsFunc(sl.Old, func(r *rhumb.Replica) bool {
		return r.Alive() && r.Spec != m.s.Spec
	})
}

// replace begins to change a slot, if one more may change, and returns how many more may then.
func (m *rolling) replace(sl *standing.Slot, free int) int {
	inTheWay := sl.InTheWay()
	if len(inTheWay) > 0 && !slices.ContainsFunc(inTheWay, m.s.Serves) {
		m.retireAll(inTheWay) // nothing is lost by that
		if m.s.Order != rhumb.StopFirst && sl.OldServes() {
			free-- // the slot changes as soon as the name is free
		}
		return free
	}
	if len(inTheWay) == 0 && !sl.OldServes() {
		m.start(sl, "", 0)
		return free // it is in flight already
	}
	if free <= 0 {
		return free
	}
	if until := m.delayedUntil(); m.Now.Before(until) {
		m.waitUntil(m.s.Name, fmt.Sprintf("waits %s between batches", m.s.Policy.Delay), until)
		return free
	}
	if len(inTheWay) > 0 {
		m.retireAll(inTheWay)
	} else {
		m.start(sl, "", 0)
	}
	return free - 1
}

// retireAll retires the replicas, and those that share their networks.
func (m *rolling) retireAll(rs []*rhumb.Replica) {
	for _, r := range rs {
		m.retire(r, m.s.Drain, m.why.old(m.s), true)
	}
}

// crowded reports whether the service is stop-first, and an old replica stands beside one of the wanted spec that isn't
// in place. The old one then goes as if the slot were empty.
func (m *rolling) crowded(sl *standing.Slot) bool {
	coming := sl.Status == standing.Broken || sl.Status == standing.Starting
	return coming && m.s.Order == rhumb.StopFirst && sl.OldAlive()
}

// free returns how many more slots may begin to change.
func (m *rolling) free() int {
	n := m.s.Policy.Parallelism
	if n <= 0 {
		n = len(m.s.Slots)
	}
	for i := range m.s.Slots {
		if m.inFlight(&m.s.Slots[i]) {
			n--
		}
	}
	return n
}

// inFlight reports whether the slot is in the middle of its change.
func (m *rolling) inFlight(sl *standing.Slot) bool {
	switch sl.Status {
	case standing.Starting, standing.Broken:
		return !m.crowded(sl) || !sl.OldServes()
	case standing.Empty:
		return !sl.OldServes()
	case standing.InPlace:
		return m.s.Order != rhumb.StopFirst && slices.ContainsFunc(sl.Old, m.Observed.Active)
	}
	return false
}

// delayedUntil returns until when the next batch waits after the last one became ready; zero: it needn't.
func (m *rolling) delayedUntil() time.Time {
	var last time.Time
	for i := range m.s.Slots {
		if sl := &m.s.Slots[i]; sl.Ready && m.Wanted.Made(sl.Main) && sl.Since.After(last) {
			last = sl.Since
		}
	}
	if last.IsZero() || m.s.Policy.Delay <= 0 {
		return time.Time{}
	}
	return last.Add(m.s.Policy.Delay)
}

// heal replaces the slot's broken replica: out of the table, recorded, stopped, and started again in a while.
func (m *rolling) heal(sl *standing.Slot) {
	s, r := m.s, sl.Main
	switch {
	case m.Observed.Routed(r):
		m.about(rhumb.StepUnroute, r, sl.Reason)
	case m.Observed.Stopping[r.ID]:
		m.wait(s.Name, fmt.Sprintf("waits for %s to stop", r.Name()))
	case s.Unrecorded(r):
		m.about(rhumb.StepRecord, r, sl.Reason)
	case r.Alive():
		m.about(rhumb.StepStop, r, sl.Reason)
	default:
		m.restart(sl)
	}
}

// restart starts a dead replica again once its back-off is over.
func (m *rolling) restart(sl *standing.Slot) {
	s, r := m.s, sl.Main
	crashes := standing.Crashes(r)
	at := r.Finished
	if at.IsZero() {
		at = r.Created
	}
	at = at.Add(standing.BackOff(s.Service, crashes))
	switch {
	case m.Now.Before(at):
		what := fmt.Sprintf("%s.%d %s; started again at %s", s.Name, sl.N, sl.Reason, at.UTC().Format(time.TimeOnly))
		m.waitUntil(s.Name, what, at)
	case !m.mayTryAgain(sl):
	case s.Order != rhumb.StopFirst && sl.NameTaken():
		m.retireAll(sl.InTheWay()) // for example a replica that was cut off from a network
	default:
		m.start(sl, r.ID, crashes+1)
	}
}

// mayTryAgain reports whether a dead replica may be started again now. Beside an old one that is alive it is one more
// than the service has slots, and there may be only as many of those as its policy changes at a time.
func (m *rolling) mayTryAgain(sl *standing.Slot) bool {
	n := m.s.Policy.Parallelism
	if m.Wanted.Mode == Hold || n <= 0 || !sl.OldAlive() {
		return true
	}
	for i := range m.s.Slots {
		other := &m.s.Slots[i]
		earlier := other.Status == standing.Broken && other.N < sl.N
		if other.OldAlive() && (other.Status == standing.Starting || earlier) {
			n--
		}
	}
	return n > 0
}

// retireOld takes out the slot's old replicas as soon as nothing is lost by it.
func (m *rolling) retireOld(sl *standing.Slot) {
	for _, r := range sl.Old {
		if m.mayGo(sl, r) {
			m.retire(r, m.s.Drain, m.why.old(m.s), m.s.Order == rhumb.StopFirst)
		}
	}
}

// mayGo reports whether an old replica has done its work.
func (m *rolling) mayGo(sl *standing.Slot, r *rhumb.Replica) bool {
	s := m.s
	if !r.Alive() {
		return !m.Keeps(r)
	}
	if s.Stray(r) {
		return true
	}
	if s.WaitsForJobs() && (s.Serves(r) || m.untouched(r)) {
		return false
	}
	if sl.Status == standing.InPlace || sl.Status == standing.Resting && s.Completed(sl.Main) {
		return true
	}
	if s.Order == rhumb.StopFirst {
		return !s.Serves(r)
	}
	if route, ok := m.Observed.Routes[r.ID]; ok {
		return route.Draining
	}
	if m.outdone(sl, r) {
		return true
	}
	if !s.AwaitsRoute(r) {
		return false
	}
	// It neither blocks nor helps: an earlier deployment, or the one that is put back, ended before it was routed.
	// Hold leaves the replicas of a paused deployment as they are.
	return !s.Serves(r) && (m.Wanted.Mode != Hold || sl.Main != nil)
}

// untouched reports whether the replica is alive, of the release that is left behind, and not on its way out. Ready or
// not, it stays as it is until the jobs have run.
func (m *rolling) untouched(r *rhumb.Replica) bool {
	o := m.Observed
	return r.Spec == m.s.OldSpec && m.s.Changed() && !o.Routes[r.ID].Draining && !o.Stopping[r.ID] && !o.Recorded[r.ID]
}

// outdone reports whether another old replica of the slot certainly does this one's work: a replica that is ready while
// this one isn't, or a replica that the release which is left behind has made.
func (m *rolling) outdone(sl *standing.Slot, r *rhumb.Replica) bool {
	s, o := m.s, m.Observed
	_, ready := o.Ready[r.ID]
	if ready && r.Spec == s.OldSpec {
		return false
	}
	return slices.ContainsFunc(sl.Old, func(other *rhumb.Replica) bool {
		_, otherReady := o.Ready[other.ID]
		works := o.Active(other) || !o.Routed(other) && !s.AwaitsRoute(other)
		return otherReady && works && other != r && s.Serves(other) && (!ready || other.Spec == s.OldSpec)
	})
}

// howFar says how many slots are ready; "": all are.
func howFar(s *standing.Service) string {
	n := 0
	for i := range s.Slots {
		if st := s.Slots[i].Status; st == standing.InPlace || st == standing.Resting {
			n++
		}
	}
	if n == len(s.Slots) {
		return ""
	}
	return fmt.Sprintf("%d/%d ready", n, len(s.Slots))
}
