package rollout

import (
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// leaving is how a turn has decided to retire a replica.
type leaving int

const (
	stays       leaving = iota
	goes                // it goes; those that share its network are waited for
	goesWithAll         // those that share its network go too
)

// retire takes a replica one move nearer to its end: draining, out of the table, stopped, removed. A replica is never
// stopped while the acknowledged table has it. A replica whose network others share waits for them; with cascade they
// go first.
func (t *turn) retire(r *rhumb.Replica, drain time.Duration, why string, cascade bool) {
	switch t.leaving[r.ID] {
	case goes:
		if cascade { // the caller before could wait for those that share the network; this one can't
			t.leaving[r.ID] = goesWithAll
			t.retireJoiners(r, drain, why)
		}
		return
	case goesWithAll:
		return
	}
	t.leaving[r.ID] = goes
	if cascade {
		t.leaving[r.ID] = goesWithAll
	}
	route, routed := t.Observed.Routes[r.ID]
	switch {
	case routed && !r.Alive():
		t.about(rhumb.StepUnroute, r, standing.DeathOf(r))
	case routed && !route.Draining:
		t.about(rhumb.StepDrain, r, why)
	case routed:
		if over, until := drained(t.Stack, r, route, drain); over || !t.Now.Before(until) {
			t.about(rhumb.StepUnroute, r, why)
		} else {
			t.waitUntil(r.Service, "waits for "+r.Name()+" to drain", until)
		}
	case !r.Alive():
		t.about(rhumb.StepRemove, r, why)
	case t.Observed.Stopping[r.ID]:
		t.wait(r.Service, "waits for "+r.Name()+" to stop")
	case len(t.Joiners(r.ID)) > 0:
		if cascade {
			t.retireJoiners(r, drain, why)
		}
	default:
		t.about(rhumb.StepStop, r, why)
	}
}

// drained reports whether a draining replica may leave the table, and until when it may drain at most. Where no other
// replica serves, callers wait already, or the service goes: kept connections between two requests don't count then.
func drained(st *standing.Stack, r *rhumb.Replica, route Route, drain time.Duration) (over bool, until time.Time) {
	if st.OthersServe(r) {
		return route.Open <= 0, route.Since.Add(drain)
	}
	if s := st.Service(r.Service); s != nil && s.Order == rhumb.StopFirst && s.Replicas > 0 {
		drain = min(drain, s.GapDrain()) // callers wait: the rest of the gap is for the application's stop and start
	}
	return route.Busy <= 0, route.Since.Add(drain)
}

// retireJoiners retires the replicas that share a replica's network.
func (t *turn) retireJoiners(r *rhumb.Replica, drain time.Duration, why string) {
	for _, other := range t.Joiners(r.ID) {
		t.retire(other, drain, why, true)
	}
}

// keepRoutesSafe takes dead replicas out of the table, whatever else is decided.
func (t *turn) keepRoutesSafe() {
	for i := range t.Observed.Replicas {
		if r := &t.Observed.Replicas[i]; r.Slot > 0 && !r.Alive() && t.Observed.Routed(r) {
			t.about(rhumb.StepUnroute, r, standing.DeathOf(r))
		}
	}
}
