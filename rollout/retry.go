package rollout

import (
	"time"

	"rhumb"
)

// RetryAt is when Hold starts a dead replica of a service again; zero: it stays as it is.
func RetryAt(def *rhumb.Service, r rhumb.Replica) time.Time {
	s := &service{Service: def}
	if r.Alive() || r.Finished.IsZero() || s.leftDead(&r) {
		return time.Time{}
	}
	if r.ExitCode == 0 && def.Restart.Condition == rhumb.RestartOnFailure {
		return time.Time{}
	}
	return r.Finished.Add(s.backOff(crashes(&r)))
}
