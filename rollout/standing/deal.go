package standing

import (
	"cmp"

	"rhumb"
)

// deal puts a service's replicas into its slots.
func deal(s *Service) {
	s.Slots = make([]Slot, max(0, s.Replicas))
	for i := range s.Slots {
		s.Slots[i].N, s.Slots[i].of = i+1, s
	}
	for _, r := range s.All {
		if r.Slot > len(s.Slots) {
			s.Surplus = append(s.Surplus, r)
			continue
		}
		sl := &s.Slots[r.Slot-1]
		switch {
		case !current(s, r):
			sl.Old = append(sl.Old, r)
		case sl.Main == nil:
			sl.Main = r
		default:
			best, other := sl.Main, r
			if better(s, r, sl.Main) {
				best, other = r, sl.Main
			}
			sl.Main, sl.Old = best, append(sl.Old, other)
			sl.look = Earliest(sl.look, s.readiness(other).look) // it may be the better one by then
		}
	}
}

// current reports whether the replica is as wanted. A created replica of another release has another name, so it can't
// be started as the wanted one.
func current(s *Service, r *rhumb.Replica) bool {
	if r.Spec != s.Spec || r.State == rhumb.StateCreated && r.Release != s.st.Wanted.Release {
		return false
	}
	if r.State != rhumb.StateCreated && !r.Alive() && leftover(s, r) {
		return false
	}
	if s.st.Observed.Severed[r.ID] && comesBack(s.Service) {
		return false
	}
	return !misjoined(s, r) // even if it is dead: that was not its own failure
}

// leftover reports whether an earlier deployment stopped the dead replica, before another one came back to its spec.
func leftover(s *Service, r *rhumb.Replica) bool {
	w := &s.st.Wanted
	if w.Mode == Restore && rested(s.st, s.Service, r) {
		return false
	}
	return w.Mode != Hold && !w.Made(r) && (s.Changed() || r.Slot > s.Prev.Replicas)
}

// misjoined reports whether the replica shares the network of a replica that is gone, or that won't stay while another
// one will.
func misjoined(s *Service, r *rhumb.Replica) bool {
	on := s.st.byName[NetworkOf(s.Service)]
	if r.Joined == "" || on == nil || on == s {
		return false
	}
	if !anyAlive(on.All, r.Joined) {
		return true
	}
	other := false
	for i := range on.Slots {
		if m := on.Slots[i].Main; m != nil && m.Alive() {
			if m.ID == r.Joined {
				return false
			}
			other = true
		}
	}
	return other
}

// better reports whether a is to be the slot's rather than b, where both are of the wanted spec.
func better(s *Service, a, b *rhumb.Replica) bool {
	return cmp.Or(cmp.Compare(rank(s, a), rank(s, b)), cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID, b.ID)) > 0
}

func rank(s *Service, r *rhumb.Replica) int {
	o, is := s.st.Observed, s.readiness(r)
	switch {
	case r.State == rhumb.StateCreated:
		return 2
	case !r.Alive() && r.Release == s.st.Wanted.Release:
		return 1 // its name must be free before another replica can have it
	case !r.Alive():
		return 0
	case o.Stopping[r.ID]:
		return 3
	case is.failing != "":
		return 4
	case is.ready && o.Active(r):
		return 9
	case is.ready && o.Routed(r):
		return 8
	case is.ready:
		return 7
	case o.Routed(r):
		return 6
	}
	return 5
}
