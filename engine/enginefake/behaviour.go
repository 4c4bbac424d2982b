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
