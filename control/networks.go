package control

import (
	"slices"

	"rhumb"
	"rhumb/rollout"
)

// withoutRemoved drops the networks and volumes whose removal is under way from a look. They are still there, but a
// deployment that began after the removal must make them again before it starts replicas in them. Services get no
// addresses in them either.
func (r *runner) withoutRemoved(o *rollout.Observed, s *sight) {
	gone := func(kind rhumb.StepKind, names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return r.flies(kind, name) })
	}
	o.Networks = gone(rhumb.StepRemoveNetwork, o.Networks)
	o.Volumes = gone(rhumb.StepRemoveVolume, o.Volumes)
	s.held.Bridges = slices.DeleteFunc(slices.Clone(s.held.Bridges), func(b rhumb.Bridge) bool {
		return r.flies(rhumb.StepRemoveNetwork, b.Network)
	})
}

// flies reports whether a step of this kind about something of this name is under way.
func (r *runner) flies(kind rhumb.StepKind, name string) bool {
	for s := range r.flying {
		if s.Kind == kind && s.Name == name {
			return true
		}
	}
	return false
}

// opposed reports whether the opposite step is under way: a network or volume isn't made while it is being removed, nor
// removed while it is being made.
func (r *runner) opposed(s rhumb.Step) bool {
	switch s.Kind {
	case rhumb.StepNetwork:
		return r.flies(rhumb.StepRemoveNetwork, s.Name)
	case rhumb.StepRemoveNetwork:
		return r.flies(rhumb.StepNetwork, s.Name)
	case rhumb.StepVolume:
		return r.flies(rhumb.StepRemoveVolume, s.Name)
	case rhumb.StepRemoveVolume:
		return r.flies(rhumb.StepVolume, s.Name)
	}
	return false
}
