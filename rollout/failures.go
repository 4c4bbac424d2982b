package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"rhumb"
)

const (
	maxBackOff  = time.Minute
	runsWell    = time.Minute // who ran that long before it crashed starts counting anew
	maxRestores = 3           // how often a replica is tried again while a stack is put back
)

// tally is what failed in a slot in this deployment.
type tally struct {
	count  int
	first  time.Time
	last   time.Time
	reason string // the first one's, in plain words
	final  bool   // one of them is of a kind that a restart doesn't mend
}

// sortFailures counts this deployment's failures by service and slot, each replica once.
func (t *turn) sortFailures() {
	seen := map[string]bool{}
	for _, f := range t.w.Failures {
		s := t.byName[f.Service]
		if s == nil || f.Release != t.w.Release && f.Release != 0 {
			continue
		}
		if f.ID != "" && seen[f.ID] {
			continue
		}
		seen[f.ID] = true
		if s.tallies == nil {
			s.tallies = map[int]tally{}
		}
		c := s.tallies[f.Slot]
		c.count++
		if f.At.After(c.last) {
			c.last = f.At
		}
		if c.first.IsZero() || f.At.Before(c.first) {
			c.first = f.At
		}
		c.final = c.final || !s.mendable(f)
		if c.reason == "" {
			c.reason = f.Reason
		}
		s.tallies[f.Slot] = c
		if s.failed == 0 {
			s.reason = reasonOf(f)
		}
		s.failed++
	}
}

func reasonOf(f rhumb.Failure) string {
	if title := rhumb.JobTitle(f.Service); title != f.Service {
		return title + " " + f.Reason
	}
	if f.Slot == 0 {
		return f.Service + ": " + f.Reason
	}
	return fmt.Sprintf("%s.%d %s", f.Service, f.Slot, f.Reason)
}

// tooMany tells whether more of the service's slots failed than its policy allows.
func (s *service) tooMany() bool {
	return float64(s.failed) > s.policy.MaxFailureRatio*float64(s.Replicas)
}

// mendable reports whether the restart policy has a replica that failed so started again, and that may help. A command
// that isn't in the image, or can't be executed, won't be there the next time either.
func (s *service) mendable(f rhumb.Failure) bool {
	if !f.Ended || f.Slot == 0 || f.ExitCode == 126 || f.ExitCode == 127 {
		return false
	}
	return s.Restart.Condition != rhumb.RestartNone && (s.Restart.Condition != rhumb.RestartOnFailure || f.ExitCode != 0)
}

// mayComeUp reports whether the failures of the service are no reason yet to end the deployment: nothing serves that
// ending it would protect, the restart policy starts what has ended again, and the time in which a replica must be ready
// hasn't passed since the first one ended.
func (s *service) mayComeUp() bool {
	if s.t.w.Mode != Deploy || s.t.w.Previous != nil || s.Job {
		return false
	}
	for _, n := range slices.Sorted(maps.Keys(s.tallies)) {
		if s.cameUp(n) {
			continue
		}
		c := s.tallies[n]
		tried := s.Restart.MaxAttempts > 0 && c.count > s.Restart.MaxAttempts
		if n == 0 || c.final || tried || s.t.passed(c.first.Add(s.limit())) {
			return false
		}
	}
	return true
}

// cameUp reports whether what failed in a slot is over, as far as can be seen: its replica is ready, or becomes so unless it
// fails by itself.
func (s *service) cameUp(n int) bool {
	if n < 1 || n > len(s.slots) || s.slots[n-1].main == nil {
		return false
	}
	r := s.slots[n-1].main
	_, ready := s.ready(r)
	return ready || r.Alive() && (s.t.o.Accepts[r.ID] || s.Ready.Kind == rhumb.ReadyRunning)
}

// gaveUp tells whether a slot that failed isn't tried again.
func (s *service) gaveUp(n int) bool {
	if s.mayComeUp() {
		return false
	}
	switch s.t.w.Mode {
	case Deploy:
		return s.policy.OnFailure == rhumb.ActionContinue && s.tallies[n].count > 0 && s.tooMany()
	case Restore:
		return s.tallies[n].count > maxRestores
	}
	return false
}

// deploymentFailed decides whether too much has failed to go on. Failures of jobs, and of what isn't a slot's (an
// address that can't be bound, a network), are always too much.
func (t *turn) deploymentFailed() bool {
	if t.w.Mode != Deploy {
		return false
	}
	for _, f := range t.w.Failures {
		if f.Service == "" && (f.Release == t.w.Release || f.Release == 0) {
			return t.fail(f.Reason, rhumb.ActionRollback)
		}
	}
	for _, s := range t.services {
		always := s.Job || s.tallies[0].count > 0
		if s.failed == 0 || !always && !s.tooMany() || s.mayComeUp() {
			continue
		}
		if s.policy.OnFailure != rhumb.ActionContinue {
			return t.fail(s.reason, s.policy.OnFailure)
		}
		if always {
			return t.fail(s.reason, rhumb.ActionRollback) // nothing can go on without it
		}
	}
	return false
}

func (t *turn) fail(reason string, action rhumb.FailureAction) bool {
	if action == "" {
		action = rhumb.ActionRollback
	}
	t.d.Failed, t.d.Action = reason, action
	t.d.Left = t.unlike()
	return true
}

// keepRoutesSafe takes the dead out of the table, whatever else is decided.
func (t *turn) keepRoutesSafe() {
	for i := range t.o.Replicas {
		if r := &t.o.Replicas[i]; r.Slot > 0 && !r.Alive() && t.routed(r) {
			t.about(rhumb.StepUnroute, r, deathOf(r))
		}
	}
}

// crashes counts how often a replica's slot has crashed in a row before this one.
func crashes(r *rhumb.Replica) int {
	if !r.Started.IsZero() && r.Finished.Sub(r.Started) >= runsWell {
		return 0
	}
	return max(0, r.Restarts)
}

// backOff is how long to wait after the n-th crash in a row (from 0).
func (s *service) backOff(n int) time.Duration {
	if s.Restart.Delay > 0 {
		return s.Restart.Delay
	}
	if n > 6 {
		return maxBackOff
	}
	return min(time.Second<<n, maxBackOff)
}

// unrecorded tells whether the replica's failure must still be written down. Of a deployment's own release only those
// that it has started itself are: it would answer for them.
func (s *service) unrecorded(r *rhumb.Replica) bool {
	t := s.t
	return !t.o.Recorded[r.ID] && (t.w.Mode == Hold || r.Release != t.w.Release || t.own(r))
}

// heal replaces the slot's broken replica: out of the table, written down, stopped, and started again in a while.
func (s *service) heal(sl *slot) {
	t, r := s.t, sl.main
	switch {
	case t.routed(r):
		t.about(rhumb.StepUnroute, r, sl.reason)
	case t.o.Stopping[r.ID]:
		t.waits(s.Name, fmt.Sprintf("waits for %s to stop", r.Name()))
	case s.unrecorded(r):
		t.about(rhumb.StepRecord, r, sl.reason)
	case r.Alive():
		t.about(rhumb.StepStop, r, sl.reason)
	default:
		n := crashes(r)
		at := r.Finished
		if at.IsZero() {
			at = r.Created
		}
		if at = at.Add(s.backOff(n)); !t.passed(at) {
			t.waits(s.Name, fmt.Sprintf("%s.%d %s; started again at %s", s.Name, sl.n, sl.reason, at.UTC().Format(time.TimeOnly)))
			return
		}
		switch {
		case !s.mayTryAgain(sl):
		case s.order != rhumb.StopFirst && s.nameTaken(sl):
			s.goAll(s.inTheWay(sl)) // such as one that was cut off from a network
		default:
			s.start(sl, r.ID, n+1)
		}
	}
}

// mayTryAgain tells whether a dead replica may be started again now. Beside an old one that is alive it is one more
// than the service has slots, and there may be only as many of those as its policy changes at a time.
func (s *service) mayTryAgain(sl *slot) bool {
	n := s.policy.Parallelism
	if s.t.w.Mode == Hold || n <= 0 || !sl.alive() {
		return true
	}
	for i := range s.slots {
		other := &s.slots[i]
		if other.alive() && (other.status == starting || other.status == broken && other.n < sl.n) {
			n--
		}
	}
	return n > 0
}
