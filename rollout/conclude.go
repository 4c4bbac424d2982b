package rollout

import "rhumb"

// conclude decides whether the wanted release is reached, or can't be.
func (t *turn) conclude() {
	switch {
	case t.Wanted.Release == 0 || t.Wanted.Model == nil:
		t.d.Done = t.Removed()
	case t.Wanted.Mode == Restore:
		t.concludeRestore()
		return
	case t.Wanted.Mode == Deploy:
		t.watch()
		t.check()
		t.d.Done = t.Converged()
	default:
		t.d.Done = t.InPlace()
	}
	if t.d.Done {
		t.d.Left = t.Left()
	}
}

// watch waits for the replicas that must run without a failure for a while, once everything is in place.
func (t *turn) watch() {
	if !t.InPlace() {
		return
	}
	for _, s := range t.Services {
		if until := s.WatchedUntil(); !until.IsZero() {
			t.waitUntil(s.Name, "watched for failures", until)
		}
	}
}

// check adds the checks that haven't passed, once every other condition of having converged holds.
func (t *turn) check() {
	if !t.InPlace() || !t.Calm() || t.OldServes() {
		return
	}
	for _, s := range t.Unchecked() {
		t.step(rhumb.Step{Kind: rhumb.StepCheck, Service: s.Name, Release: t.Wanted.Release,
			Why: "before " + t.Wanted.Ref() + " counts as converged"})
		t.wait(s.Name, "checked")
	}
}

// concludeRestore ends a rollback: everything is as it was and nothing else is left, or some slots are given up and
// nothing else can be done.
func (t *turn) concludeRestore() {
	if !t.AnyGivenUp() {
		t.d.Done = t.PutBack()
	} else if t.idle() && (t.Settled() || t.wake().IsZero()) {
		t.fail("it can't be put back", rhumb.ActionPause)
	}
}

// idle reports whether there is nothing to do, and nothing that drains or stops.
func (t *turn) idle() bool {
	for _, st := range t.d.Steps {
		if st.Kind != rhumb.StepPublish { // an address that can't be bound is tried again and again
			return false
		}
	}
	for r := range t.Leavers() {
		if route, ok := t.Observed.Routes[r.ID]; ok && route.Draining || t.Observed.Stopping[r.ID] {
			return false
		}
	}
	return true
}

// fail concludes that the wanted release can't be reached.
func (t *turn) fail(reason string, action rhumb.FailureAction) {
	t.d.Failed, t.d.Action = reason, action
	t.d.Left = t.Left()
}
