package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"rhumb"
)

// simReplica is a replica and what will happen to it.
type simReplica struct {
	rhumb.Replica
	readyAt   time.Time // from when it answers; zero: never
	endsAt    time.Time // when it ends, on its own or because it was stopped; zero: it doesn't
	code      int       // what it then exits with
	sickFrom  time.Time // its health check fails from here; zero: never
	sickTo    time.Time
	openUntil time.Time // once it drains: when its last connection ends
	stopping  bool
	leaving   bool      // it has drained and not been routed again
	hooksDone time.Time // when its post_start hooks had completed
	useless   bool      // it didn't answer when its stop began, so replicas that share its network fall with it
	severed   bool      // a person has cut it off from a network
	forgotten bool      // the daemon died while it was being stopped, and doesn't know
}

// simWorld is an engine and a proxy with their own clock.
type simWorld struct {
	rng       *rand.Rand
	calm      bool
	now       time.Time
	replicas  []*simReplica
	made      int
	networks  []string
	volumes   []string
	routes    map[string]Route
	published map[string]string
	away      time.Time // until then the engine can't be reached
	segments  map[string]bool
	addressed string    // what the service addresses in the table were made for
	refuses   time.Time // until then the proxy refuses service addresses
}

func newSimWorld(rng *rand.Rand, calm bool) *simWorld {
	return &simWorld{rng: rng, calm: calm, now: noon, routes: map[string]Route{}, published: map[string]string{}}
}

func (w *simWorld) chance(p float64) bool { return w.rng.Float64() < p }

// between returns a random duration.
func (w *simWorld) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rng.Int64N(int64(b-a)+1))
}

func (w *simWorld) find(id string) *simReplica {
	for _, r := range w.replicas {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (w *simWorld) named(name string) *simReplica {
	for _, r := range w.replicas {
		if r.Name() == name {
			return r
		}
	}
	return nil
}

// make creates a replica that isn't started yet.
func (w *simWorld) make(service string, release, slot int, spec string) *simReplica {
	w.made++
	r := &simReplica{Replica: rhumb.Replica{ID: fmt.Sprintf("r%d", w.made), Stack: "shop", Service: service,
		Release: release, Slot: slot, Spec: spec, State: rhumb.StateCreated, Created: w.now}}
	w.replicas = append(w.replicas, r)
	return r
}

// start lets a created replica run, and decides at random what will happen to it.
func (w *simWorld) start(r *simReplica, def *rhumb.Service, q quality) {
	if q == good && !w.calm && w.chance(0.02) {
		q = pick(w.rng, crashesSoon, crashesLate, neverReady, cantStart, turnsSick)
	}
	if q == cantStart {
		r.State, r.Error, r.ExitCode, r.Finished = rhumb.StateExited, "no such file", 127, w.now
		return
	}
	r.State, r.Started = rhumb.StateRunning, w.now
	if def.Job {
		r.endsAt = w.now.Add(w.between(100*time.Millisecond, 5*time.Second))
		if q != good {
			r.code = 1
		}
		return
	}
	if def.Ready.Kind == rhumb.ReadyHealth {
		r.Health = rhumb.HealthStarting
	}
	r.readyAt = w.now.Add(w.between(50*time.Millisecond, 4*time.Second))
	if def.Ready.Kind == rhumb.ReadyRunning {
		r.readyAt = w.now
	}
	switch q {
	case crashesSoon:
		r.endsAt, r.code = w.now.Add(w.between(0, 3*time.Second)), 1
		if def.Ready.Kind != rhumb.ReadyRunning && (def.Ready.Kind != rhumb.ReadyTCP || w.chance(0.5)) {
			r.readyAt = time.Time{} // other TCP services listen, and then exit
		}
	case crashesLate:
		r.endsAt, r.code = r.readyAt.Add(w.between(0, 20*time.Second)), 1
	case neverReady:
		if def.Ready.Kind != rhumb.ReadyRunning {
			r.readyAt = time.Time{}
		}
	case turnsSick:
		if def.Ready.Kind == rhumb.ReadyHealth {
			r.sickFrom = r.readyAt.Add(w.between(0, 20*time.Second))
			r.sickTo = r.sickFrom.Add(w.between(time.Second, time.Minute))
		}
	case oneShot:
		r.endsAt, r.code = w.now.Add(w.between(0, 5*time.Second)), 0
	}
}

// stop makes a replica end soon.
func (w *simWorld) stop(r *simReplica) {
	if !r.Alive() || r.stopping {
		return
	}
	r.stopping = true
	at := w.now.Add(w.between(0, 2*time.Second))
	if w.chance(0.1) {
		at = w.now.Add(w.between(2*time.Second, 30*time.Second))
	}
	if r.endsAt.IsZero() || at.Before(r.endsAt) {
		r.endsAt, r.code = at, pick(w.rng, 0, 137, 143)
	}
}

func (w *simWorld) sick(r *simReplica) bool {
	return !r.sickFrom.IsZero() && !w.now.Before(r.sickFrom) && w.now.Before(r.sickTo)
}

// answers reports whether requests that reach the replica are answered.
func (w *simWorld) answers(r *simReplica) bool {
	if !r.Alive() || r.stopping || r.readyAt.IsZero() || w.now.Before(r.readyAt) || w.sick(r) {
		return false
	}
	return w.connected(r)
}

// connected reports whether the replica has a network: its own, or that of an alive, connected replica.
func (w *simWorld) connected(r *simReplica) bool {
	if r.Joined == "" {
		return true
	}
	on := w.find(r.Joined)
	return on != nil && on.Alive() && w.connected(on)
}

// next returns when something happens on its own; zero: nothing will.
func (w *simWorld) next() time.Time {
	var next time.Time
	at := func(t time.Time) {
		if t.After(w.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, r := range w.replicas {
		if r.Alive() {
			at(r.readyAt)
			at(r.endsAt)
			at(r.sickFrom)
			at(r.sickTo)
			if _, routed := w.routes[r.ID]; routed {
				at(r.openUntil)
			}
		}
	}
	return next
}

// pass lets happen what is due, and returns the replicas that ended or became unhealthy on their own.
func (w *simWorld) pass() (hurt []*simReplica) {
	for _, r := range w.replicas {
		if !r.Alive() {
			continue
		}
		was := r.Health
		switch {
		case r.Health == rhumb.HealthNone:
		case w.sick(r):
			r.Health = rhumb.HealthUnhealthy
		case !r.readyAt.IsZero() && !w.now.Before(r.readyAt):
			r.Health = rhumb.HealthHealthy
		}
		if r.Health == rhumb.HealthUnhealthy && was != r.Health {
			hurt = append(hurt, r)
		}
		if !r.endsAt.IsZero() && !w.now.Before(r.endsAt) {
			r.State, r.ExitCode, r.Finished, r.Health = rhumb.StateExited, r.code, r.endsAt, ""
			if !r.stopping || r.useless {
				hurt = append(hurt, r)
			}
		}
	}
	return hurt
}

// drain decides when the last connection of a replica that begins to drain will end.
func (w *simWorld) drain(r *simReplica) {
	r.openUntil = w.now
	switch {
	case w.chance(0.1):
		r.openUntil = w.now.Add(time.Hour)
	case w.chance(0.4):
		r.openUntil = w.now.Add(w.between(0, 5*time.Second))
	}
}

// observe fills in what a look shows, but not what the daemon remembers.
func (w *simWorld) observe(o *Observed) {
	o.Replicas = make([]rhumb.Replica, len(w.replicas))
	for i, r := range w.replicas {
		o.Replicas[i] = r.Replica
	}
	o.Routes = make(map[string]Route, len(w.routes))
	for id, route := range w.routes {
		if r := w.find(id); route.Draining && r != nil && r.Alive() && w.now.Before(r.openUntil) {
			route.Open, route.Busy = 1, 1
		}
		o.Routes[id] = route
	}
	o.Published = w.published
	o.Severed = map[string]bool{}
	for _, r := range w.replicas {
		if r.severed {
			o.Severed[r.ID] = true
		}
	}
	o.Networks, o.Volumes, o.Segments = w.networks, w.volumes, w.segments
}

func (w *simWorld) remove(r *simReplica) {
	w.replicas = slices.DeleteFunc(w.replicas, func(x *simReplica) bool { return x == r })
}
