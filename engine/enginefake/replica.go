package enginefake

import (
	"strings"
	"time"

	"rhumb"
)

// replica is one replica: what it was made from, and when it does what.
type replica struct {
	name      string
	spec      rhumb.ReplicaSpec
	behaviour Behaviour
	base      rhumb.Replica // its state after the last call that changed it
	volumes   []string
	exit      time.Time // when it exits without being stopped; zero: never
	hosts     map[string]string
	pid       int
	log       *LogFile // nil: only Logs has its lines
}

// begin starts it.
func (r *replica) begin(now time.Time) {
	b := &r.behaviour
	if b.CannotStart != "" {
		r.base.State, r.base.Error, r.base.ExitCode = rhumb.StateExited, b.CannotStart, 127
		return
	}
	r.base.State, r.base.Started = rhumb.StateRunning, now
	if b.ExitAtOnce || b.ExitAfter > 0 {
		r.exit = now.Add(b.ExitAfter)
	}
}

// end ends the replica because of a call.
func (r *replica) end(now time.Time, code int) {
	r.base = r.at(now)
	r.base.State, r.base.ExitCode, r.base.Finished, r.base.Addrs, r.exit = rhumb.StateExited, code, now, nil, time.Time{}
}

// at returns the replica as an engine would show it at a time.
func (r *replica) at(now time.Time) rhumb.Replica {
	v := r.base
	switch v.State {
	case rhumb.StateExited, rhumb.StateCreated:
		v.Addrs = nil
		return v
	case rhumb.StatePaused:
		return v
	}
	if !r.exit.IsZero() && !now.Before(r.exit) {
		v.State, v.ExitCode, v.OOM = rhumb.StateExited, r.behaviour.ExitCode, r.behaviour.OOM
		v.Finished, v.Addrs = r.exit, nil
		now = r.exit
	}
	v.Health = r.health(now)
	return v
}

// health returns the result of the replica's check at a time.
func (r *replica) health(now time.Time) rhumb.Health {
	if h := r.spec.Container.Health; h == nil || len(h.Test) > 0 && h.Test[0] == "NONE" {
		return rhumb.HealthNone
	}
	b, age := &r.behaviour, now.Sub(r.base.Started)
	switch {
	case age < b.ReadyAfter:
		return rhumb.HealthStarting
	case b.NeverReady, b.flapped(age):
		return rhumb.HealthUnhealthy
	}
	return rhumb.HealthHealthy
}

// next returns the first time after t at which the replica changes without a call, or zero if it never does.
func (r *replica) next(t time.Time) time.Time {
	if r.base.State != rhumb.StateRunning {
		return time.Time{}
	}
	var first time.Time
	consider := func(at time.Time) {
		if at.After(t) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	b := &r.behaviour
	ready := r.base.Started.Add(b.ReadyAfter)
	consider(ready)
	if b.Flaps > 0 {
		periods := max(0, t.Sub(ready)/b.Flaps)
		consider(ready.Add((periods + 1) * b.Flaps))
	}
	if !r.exit.IsZero() {
		consider(r.exit)
		if !first.IsZero() && first.After(r.exit) {
			return time.Time{}
		}
	}
	return first
}

// cutService takes the service out of "service:NAME".
func cutService(mode string) (string, bool) { return strings.CutPrefix(mode, "service:") }
