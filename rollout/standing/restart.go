package standing

import (
	"fmt"
	"time"

	"rhumb"
)

const (
	maxBackOff = time.Minute
	runsWell   = time.Minute // a replica that ran for that long before it crashed is the first of a new row of crashes
)

// Completed reports whether a replica of a job has done its work: it has exited with 0, and in time.
func Completed(def *rhumb.Service, r rhumb.Replica) bool { return def.Job && endedWell(def, &r) }

// RetryAt returns when Hold starts a dead replica of a service again; zero: it stays as it is.
func RetryAt(def *rhumb.Service, r rhumb.Replica) time.Time {
	if r.Alive() || r.Finished.IsZero() || leftDead(def, &r) {
		return time.Time{}
	}
	if r.ExitCode == 0 && def.Restart.Condition == rhumb.RestartOnFailure {
		return time.Time{}
	}
	return r.Finished.Add(BackOff(def, Crashes(&r)))
}

// endedWell reports whether a replica has exited with 0, and in time, and is not to be started again.
func endedWell(def *rhumb.Service, r *rhumb.Replica) bool {
	if r.State != rhumb.StateExited || r.ExitCode != 0 || r.Error != "" || r.OOM {
		return false
	}
	if r.Started.IsZero() || ranTooLong(def, r) {
		return false
	}
	return def.Job || def.Restart.Condition == rhumb.RestartOnFailure || def.Restart.Condition == rhumb.RestartNone
}

// mayEnd reports whether replicas of the service may have done their work for good by ending: no requests come to them
// from outside, and nothing checks whether they are ready.
func mayEnd(def *rhumb.Service) bool {
	kind := def.Ready.Kind
	return !def.Served() && (kind == "" || kind == rhumb.ReadyRunning || kind == rhumb.ReadyExit)
}

// comesBack reports whether replicas of the service are started again however they ended. No other replica may be
// stopped in order to be replaced.
func comesBack(def *rhumb.Service) bool {
	return (def.Restart.Condition == rhumb.RestartAny || def.Restart.Condition == "") && def.Restart.MaxAttempts == 0
}

// leftDead reports whether the restart policy leaves the dead replica as it is.
func leftDead(def *rhumb.Service, r *rhumb.Replica) bool {
	most := def.Restart.MaxAttempts
	return def.Restart.Condition == rhumb.RestartNone || most > 0 && Crashes(r) >= most
}

// Crashes returns how often the replica's slot had crashed in a row before the replica was started; 0 if it ran well.
func Crashes(r *rhumb.Replica) int {
	if !r.Started.IsZero() && r.Finished.Sub(r.Started) >= runsWell {
		return 0
	}
	return max(0, r.Restarts)
}

// BackOff returns how long to wait after the n-th crash in a row, counted from 0.
func BackOff(def *rhumb.Service, n int) time.Duration {
	if def.Restart.Delay > 0 {
		return def.Restart.Delay
	}
	if n > 6 {
		return maxBackOff
	}
	return min(time.Second<<n, maxBackOff)
}

// DeathOf says how a dead replica ended.
func DeathOf(r *rhumb.Replica) string {
	switch {
	case r.Error != "":
		return "could not be started: " + r.Error
	case r.OOM:
		return "ran out of memory"
	case r.Started.IsZero() || !r.Finished.After(r.Started):
		return fmt.Sprintf("exited with %d", r.ExitCode)
	}
	return fmt.Sprintf("exited with %d after %s", r.ExitCode, brief(r.Finished.Sub(r.Started)))
}

// brief rounds a duration to what a person reads.
func brief(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
