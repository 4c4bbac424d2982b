package control

import (
	"slices"

	"rhumb"
	"rhumb/control/scene"
)

// withoutRemoved drops the networks and volumes whose removal is under way from a look. They are still there, but a
// deployment that began after the removal must make them again before it starts replicas in them. Services get no
// addresses in them either.
func (r *runner) withoutRemoved(g *scene.Scene) {
	o := &g.Observed
	gone := func(kind rhumb.StepKind, names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return r.flying.named(kind, name) })
	}
	o.Networks = gone(rhumb.StepRemoveNetwork, o.Networks)
	o.Volumes = gone(rhumb.StepRemoveVolume, o.Volumes)
	g.Held.Bridges = slices.DeleteFunc(slices.Clone(g.Held.Bridges), func(b rhumb.Bridge) bool {
		return r.flying.named(rhumb.StepRemoveNetwork, b.Network)
	})
}

// opposed reports whether the opposite step is under way: a network or volume isn't made while it is being removed, nor
// removed while it is being made.
func (r *runner) opposed(s rhumb.Step) bool {
	switch s.Kind {
	case rhumb.StepNetwork:
		return r.flying.named(rhumb.StepRemoveNetwork, s.Name)
	case rhumb.StepRemoveNetwork:
		return r.flying.named(rhumb.StepNetwork, s.Name)
	case rhumb.StepVolume:
		return r.flying.named(rhumb.StepRemoveVolume, s.Name)
	case rhumb.StepRemoveVolume:
		return r.flying.named(rhumb.StepVolume, s.Name)
	}
	return false
}
