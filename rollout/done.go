package rollout

import (
	"fmt"

	"rhumb"
)

// settled tells whether the slot needs nothing more.
func (sl *slot) settled() bool {
	return sl.status == inPlace || sl.status == resting || sl.status == lost
}

// settled tells whether the service needs nothing more but that old replicas go.
func (s *service) settled() bool {
	if s.Job {
		return !s.mustRun()
	}
	for i := range s.slots {
		if !s.slots[i].settled() {
			return false
		}
	}
	return true
}

func (t *turn) settled() bool {
	for _, s := range t.services {
		if !s.settled() {
			return false
		}
	}
	return true
}

// calm tells whether the replicas that this deployment made have run without failing for as long as their services'
// policies watch them.
func (t *turn) calm() bool {
	if t.w.Mode != Deploy {
		return true
	}
	calm := true
	for _, s := range t.services {
		if s.policy.Monitor <= 0 {
			continue
		}
		for i := range s.slots {
			sl := &s.slots[i]
			if sl.status == inPlace && t.own(sl.main) && !t.passed(sl.since.Add(s.policy.Monitor)) {
				t.waits(s.Name, "watched for failures")
				calm = false
			}
		}
	}
	return calm
}

// conclude decides whether it is done, or can't be.
func (t *turn) conclude() {
	var done bool
	switch {
	case t.w.Release == 0 || t.w.Model == nil:
		done = t.nothingLeft()
	case t.w.Mode == Restore:
		t.concludeRestore()
		return
	case t.w.Mode == Deploy:
		done = t.prepared && t.settled() && t.published() && t.calm() && !t.oldServes() && t.checked()
	default:
		done = t.prepared && t.settled() && t.published()
	}
	t.d.Done = done
	if done {
		t.d.Left = t.unlike()
	}
}

// nothingLeft tells whether nothing of the stack is left but its volumes, and those too if a person asked for that.
func (t *turn) nothingLeft() bool {
	for range t.leavers() {
		return false
	}
	return len(t.o.Published) == 0 && len(t.o.Networks) == 0 && (!t.w.Volumes || len(t.o.Volumes) == 0)
}

// oldServes tells whether new connections still go to a replica that the wanted release doesn't have. Where a slot is
// given up, the old one stays.
func (t *turn) oldServes() bool {
	for _, s := range t.services {
		for i := range s.slots {
			for _, r := range s.slots[i].old {
				if s.slots[i].status != lost && t.active(r) {
					return true
				}
			}
		}
		for _, r := range s.surplus {
			if t.active(r) {
				return true
			}
		}
	}
	for _, r := range t.orphans {
		if t.active(r) {
			return true
		}
	}
	return false
}

// concludeRestore ends a putting back: all is as it was and nothing else is left, or some slots are given up and
// nothing else can be done.
func (t *turn) concludeRestore() {
	if t.anyLost() {
		if t.idle() && (t.settled() || t.d.Wake.IsZero()) {
			t.d.Failed = "it can't be put back"
			t.d.Action = rhumb.ActionPause
			t.d.Left = t.unlike()
		}
		return
	}
	if !t.prepared || !t.settled() || !t.published() || len(t.unwanted()) > 0 || len(t.extraNetworks()) > 0 {
		return
	}
	for range t.leavers() {
		return
	}
	t.d.Done = true
}

// anyLost tells whether a slot, or an address, is given up.
func (t *turn) anyLost() bool {
	for _, s := range t.services {
		if s.tallies[0].count > maxRestores {
			return true
		}
		for i := range s.slots {
			if s.slots[i].status == lost {
				return true
			}
		}
	}
	return false
}

// idle tells whether there is nothing to do, and nothing that drains or stops.
func (t *turn) idle() bool {
	for _, st := range t.d.Steps {
		if st.Kind != rhumb.StepPublish { // an address that can't be had is tried for ever
			return false
		}
	}
	for r := range t.leavers() {
		if route, ok := t.o.Routes[r.ID]; ok && route.Draining || t.o.Stopping[r.ID] {
			return false
		}
	}
	return true
}

// unlike names what isn't as wanted, in plain words.
func (t *turn) unlike() []string {
	var left []string
	for _, s := range t.services {
		if s.Job {
			continue
		}
		for i := range s.slots {
			sl := &s.slots[i]
			if sl.status == inPlace || sl.status == resting {
				continue
			}
			what := s.tallies[sl.n].reason // the first failure's own: later the replica may have ended because it was stopped
			if what == "" {
				what = sl.reason
			}
			if what == "" {
				what = "isn't ready"
			}
			left = append(left, fmt.Sprintf("%s: %s", rhumb.ReplicaName(t.w.Stack, s.Name, t.w.Release, sl.n), what))
		}
		if c := s.tallies[0]; c.count > 0 {
			left = append(left, fmt.Sprintf("%s: %s", s.Name, c.reason))
		}
	}
	if t.w.Mode == Restore {
		for r := range t.leavers() {
			left = append(left, r.Name()+": still there")
		}
	}
	return left
}
