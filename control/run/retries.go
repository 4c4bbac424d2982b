package run

import (
	"time"

	"rhumb"
)

// retries are the steps that failed, by their keys. Only the turn uses them.
type retries map[rhumb.Step]retry

// retry says how often a step failed and when it is tried again.
type retry struct {
	tries int
	at    time.Time
}

// maxTries is how often a step of a deployment is tried before it counts as a failure.
const maxTries = 5

// of returns how a step stands; zero: it hasn't failed.
func (a retries) of(s rhumb.Step) retry { return a[s.Key()] }

// failed notes that a step failed. The next try follows after twice the time of the last, at most after a minute.
func (a retries) failed(s rhumb.Step, now time.Time) retry {
	r := a[s.Key()]
	r.tries++
	r.at = now.Add(min(time.Minute, 200*time.Millisecond<<min(r.tries, 9)))
	a[s.Key()] = r
	return r
}

// done forgets a step.
func (a retries) done(s rhumb.Step) { delete(a, s.Key()) }

// hopeless reports whether retrying can't help.
func hopeless(err error) bool {
	switch rhumb.ErrorCode(err) {
	case rhumb.Invalid, rhumb.Unsupported, rhumb.Conflict, rhumb.NotFound, rhumb.Denied:
		return true
	}
	return false
}

// earliest returns the first of the times that aren't zero.
func earliest(ts ...time.Time) time.Time {
	var first time.Time
	for _, t := range ts {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
