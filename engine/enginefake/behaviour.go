package enginefake

import (
	"time"

	"rhumb"
)

// Behaviour is what a replica does. The zero value runs, is ready at once, and ends with 0 when it is stopped.
type Behaviour struct {
	StartError  error         // Start answers this, and nothing is made
	Warnings    []string      // Start answers with these when it makes it
	CannotStart string        // it is made and stays, exited with 127 and this error
	ReadyAfter  time.Duration // after its start its check says healthy; before, starting
	NeverReady  bool          // its check says unhealthy instead
	Flaps       time.Duration // once ready its check changes between healthy and unhealthy this often; 0: never
	ExitAtOnce  bool          // it has exited when Start returns
	ExitAfter   time.Duration // how long after its start it exits without being stopped; 0: never
	ExitCode    int           // of an exit without a stop, and of Run
	OOM         bool          // that exit is for its memory
	StopCode    int           // with which it ends when it is stopped
	IgnoresStop bool          // it ends with 137 instead
	Output      []string      // the lines that it writes; those that begin with "!" go, without it, to standard error
	ProbeOutput string        // what a failing check prints; "": "not ready"
	// Probe carries out a check in the replica instead of what was said above; nil: that counts.
	Probe func(rhumb.Healthcheck) error
	// Exec carries out a command in the replica and returns its exit code; nil: 0.
	Exec func(rhumb.ExecOptions) int
}

// flapped reports whether a flapping check is unhealthy when the replica has this age.
func (b *Behaviour) flapped(age time.Duration) bool {
	return b.Flaps > 0 && ((age-b.ReadyAfter)/b.Flaps)%2 == 1
}

// key chooses a behaviour; an empty part is any.
type key struct{ service, image string }

// fault makes a call fail a number of times; negative: always.
type fault struct {
	times int
	err   error
}

// Behave sets what replicas that are started from now on do, by service and image (reference or ID). "" is any. The
// most exact one counts: service and image, service, image, neither.
func (e *Engine) Behave(service, image string, b Behaviour) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behaviours[key{service, image}] = b
}

// Interpret sets what decides the behaviour of replicas for which Behave says nothing; nil is the zero Behaviour.
func (e *Engine) Interpret(f func(rhumb.ReplicaSpec) Behaviour) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.interpret = f
}

// behaviour chooses what a replica does.
func (e *Engine) behaviour(spec *rhumb.ReplicaSpec) Behaviour {
	if len(e.behaviours) > 0 {
		c := &spec.Container
		for _, service := range []string{spec.Service, ""} {
			for _, image := range []string{c.ImageID, c.Image, ""} {
				if b, ok := e.behaviours[key{service, image}]; ok {
					return b
				}
			}
		}
	}
	if e.interpret != nil {
		return e.interpret(*spec)
	}
	return Behaviour{}
}

// Away takes the engine away, so that every call answers Unavailable and every watch ends, or brings it back.
// The replicas go on meanwhile.
func (e *Engine) Away(away bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away = away
	if away {
		for w := range e.watchers {
			w.leave()
		}
		e.wake()
	}
}

// Fail makes the next calls of a method ("Start", "Stop", ...) fail; negative times: all; 0: none any more.
func (e *Engine) Fail(method string, times int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults[method] = &fault{times, err}
}

// LoseEvents makes watchers miss all changes while lose is true. They don't get these changes later either.
func (e *Engine) LoseEvents(lose bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lossy = lose
}

// Kill ends a running replica, as a crash would. Unknown and dead ones are left as they are.
func (e *Engine) Kill(id string, code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	r := e.byID(id)
	if r == nil {
		return
	}
	if view := r.at(now); view.Alive() {
		r.end(now, code)
		e.tell(r)
	}
}

// KillOOM ends a running replica as the kernel does when there is no memory left.
func (e *Engine) KillOOM(id string) {
	e.Kill(id, 137)
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.byID(id); r != nil {
		r.base.OOM = true
	}
}

// Drop removes a replica by hand, running or not, behind rhumb's back.
func (e *Engine) Drop(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.byID(id); r != nil {
		e.drop(r)
	}
}

// Pause freezes a running replica by hand, or lets it go on.
func (e *Engine) Pause(id string, paused bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	r := e.byID(id)
	if r == nil {
		return
	}
	switch view := r.at(now); {
	case paused && view.State == rhumb.StateRunning:
		r.base.State = rhumb.StatePaused
	case !paused && view.State == rhumb.StatePaused:
		r.base.State = rhumb.StateRunning
	default:
		return
	}
	e.tell(r)
}

// Hold runs f while no call is under way, so that a test can move its clock beside watches.
func (e *Engine) Hold(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// Tick reports to watchers what has changed because time has passed. A test that sets its own clock calls Tick after
// moving it.
func (e *Engine) Tick() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wake()
}
