package enginefake

import (
	"rhumb"
)

// script is what a test says of replicas and calls.
type script struct{ *state }

// Behave sets what replicas that are started from now on do, by service and image (reference or ID). "" is any. The
// most exact one counts: service and image, service, image, neither.
func (sc *script) Behave(service, image string, b Behaviour) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.behaviours[key{service, image}] = b
}

// Interpret sets what decides the behaviour of replicas for which Behave says nothing; nil is the zero Behaviour.
func (sc *script) Interpret(f func(rhumb.ReplicaSpec) Behaviour) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.interpret = f
}

// Away takes the engine away, so that every call answers Unavailable and every watch ends, or brings it back.
// The replicas go on meanwhile.
func (sc *script) Away(away bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.away = away
	if away {
		for w := range sc.watchers {
			w.leave()
		}
		sc.wake()
	}
}

// Fail makes the next calls of a method ("Start", "Stop", ...) fail; negative times: all; 0: none any more.
func (sc *script) Fail(method string, times int, err error) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.faults[method] = &fault{times, err}
}

// LoseEvents makes watchers miss all changes while lose is true. They don't get these changes later either.
func (sc *script) LoseEvents(lose bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.lossy = lose
}

// Hold runs f while no call is under way, so that a test can move its clock beside watches.
func (sc *script) Hold(f func()) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	f()
}

// Tick reports to watchers what has changed because time has passed. A test that sets its own clock calls Tick after
// moving it.
func (sc *script) Tick() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.wake()
}

// SetAPI sets the version of the API that the engine says it speaks; it does all the same what newer ones do.
func (sc *script) SetAPI(version string) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.api = version
}
