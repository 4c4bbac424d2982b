package standing

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"rhumb"
)

const maxRestores = 3 // how often a replica is tried again while a stack is put back

// Failures are a service's failures in this deployment.
type Failures struct {
	Count int

	of        *Service
	reason    string        // the first one's, with its subject
	bySlot    map[int]Tally // 0: failures of no slot, such as an address that can't be bound
	mayComeUp bool          // they are no reason yet to end the deployment
	look      time.Time     // when mayComeUp is to be decided again; zero: it doesn't depend on the time
}

// Tally is what failed in one slot.
type Tally struct {
	Count  int
	Last   time.Time
	Reason string // the first one's, in plain words

	first time.Time
	final bool // one of them is of a kind that starting again doesn't mend
}

// In returns what failed in a slot.
func (f *Failures) In(slot int) Tally { return f.bySlot[slot] }

// countFailures counts this deployment's failures by service and slot, each replica once.
func countFailures(st *Stack) {
	seen := map[string]bool{}
	for _, f := range st.Wanted.Failures {
		s := st.byName[f.Service]
		if s == nil || f.Release != st.Wanted.Release && f.Release != 0 {
			continue
		}
		if f.ID != "" && seen[f.ID] {
			continue
		}
		seen[f.ID] = true
		s.Failures.add(f)
	}
}

func (f *Failures) add(x rhumb.Failure) {
	if f.bySlot == nil {
		f.bySlot = map[int]Tally{}
	}
	c := f.bySlot[x.Slot]
	c.Count++
	if x.At.After(c.Last) {
		c.Last = x.At
	}
	if c.first.IsZero() || x.At.Before(c.first) {
		c.first = x.At
	}
	c.final = c.final || !mendable(f.of.Service, x)
	if c.Reason == "" {
		c.Reason = x.Reason
	}
	f.bySlot[x.Slot] = c
	if f.Count == 0 {
		f.reason = reasonOf(x)
	}
	f.Count++
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

// mendable reports whether the restart policy starts a replica that failed in this way again, and that may help. A
// command that isn't in the image, or can't be executed, fails the next time too.
func mendable(def *rhumb.Service, f rhumb.Failure) bool {
	if !f.Ended || f.Slot == 0 || f.ExitCode == 126 || f.ExitCode == 127 {
		return false
	}
	switch def.Restart.Condition {
	case rhumb.RestartNone:
		return false
	case rhumb.RestartOnFailure:
		return f.ExitCode != 0
	}
	return true
}

// tooMany reports whether more of the service's slots failed than its policy allows.
func (f *Failures) tooMany() bool {
	return float64(f.Count) > f.of.Policy.MaxFailureRatio*float64(f.of.Replicas)
}

// judge decides whether the failures are no reason yet to end the deployment: nothing serves that ending it would
// protect, the restart policy starts again what has ended, and the time in which a replica must be ready hasn't passed
// since the first one ended.
func (f *Failures) judge() {
	s := f.of
	if s.st.Wanted.Mode != Deploy || s.st.Wanted.Previous != nil || s.Job {
		return
	}
	for _, n := range slices.Sorted(maps.Keys(f.bySlot)) {
		if f.cameUp(n) {
			continue
		}
		c := f.bySlot[n]
		tried := s.Restart.MaxAttempts > 0 && c.Count > s.Restart.MaxAttempts
		over := c.first.Add(limit(s.Service))
		if n == 0 || c.final || tried || !s.st.Now.Before(over) {
			return
		}
		f.look = Earliest(f.look, over)
	}
	f.mayComeUp = true
}

// cameUp reports whether the failure of a slot is over, as far as can be observed: its replica is ready, or will be
// unless it fails.
func (f *Failures) cameUp(n int) bool {
	s := f.of
	if n < 1 || n > len(s.Slots) || s.Slots[n-1].Main == nil {
		return false
	}
	r := s.Slots[n-1].Main
	return s.readiness(r).ready || r.Alive() && (s.st.Observed.Accepts[r.ID] || s.Ready.Kind == rhumb.ReadyRunning)
}

// givenUp reports whether a slot that failed isn't tried again. look is when to decide again.
func (f *Failures) givenUp(slot int) (is bool, look time.Time) {
	count, mode := f.bySlot[slot].Count, f.of.st.Wanted.Mode
	switch {
	case f.mayComeUp:
	case mode == Deploy:
		is = f.of.Policy.OnFailure == rhumb.ActionContinue && count > 0 && f.tooMany()
	case mode == Restore:
		is = count > maxRestores
	}
	return is, f.look
}

// Failure is why a deployment can't go on, and what the policy of the service that failed asks for.
type Failure struct {
	Reason string
	Action rhumb.FailureAction
}

// Failed decides whether too much has failed for the deployment to go on; nil: it goes on. Failures of jobs, and those
// that belong to no slot, such as an address that can't be bound, are always too much. look is when to decide again.
func (st *Stack) Failed() (f *Failure, look time.Time) {
	if st.Wanted.Mode != Deploy {
		return nil, look
	}
	for _, f := range st.Wanted.Failures {
		if f.Service == "" && (f.Release == st.Wanted.Release || f.Release == 0) {
			return &Failure{f.Reason, rhumb.ActionRollback}, look
		}
	}
	for _, s := range st.Services {
		f := &s.Failures
		always := s.Job || f.In(0).Count > 0
		if f.Count == 0 || !always && !f.tooMany() {
			continue
		}
		look = Earliest(look, f.look)
		if f.mayComeUp {
			continue
		}
		switch action := s.Policy.OnFailure; {
		case action != rhumb.ActionContinue && action != "":
			return &Failure{f.reason, action}, look
		case action == "" || always: // without a job or an address nothing can go on
			return &Failure{f.reason, rhumb.ActionRollback}, look
		}
	}
	return nil, look
}
