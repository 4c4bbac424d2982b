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
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return r.flying.named(kind, name) })
	}
	o.Networks = gone(rhumb.StepRemoveNetwork, o.Networks)
	o.Volumes = gone(rhumb.StepRemoveVolume, o.Volumes)
	s.held.Bridges = slices.DeleteFunc(slices.Clone(s.held.Bridges), func(b rhumb.Bridge) bool {
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

// beside returns the networks that a new replica of a service joins beside its own: where one of its networks is made
// again under another name, callers that haven't moved yet reach the service in the old one.
func (g *goal) beside(s *rhumb.Service, o rollout.Observed) []rhumb.Attachment {
	var list []rhumb.Attachment
	for _, a := range s.Container.Networks {
		i := slices.IndexFunc(g.wanted.Model.Networks, func(n rhumb.Network) bool { return n.Name == a.Network })
		if i < 0 {
			continue
		}
		n := g.wanted.Model.Networks[i]
		old := g.wanted.Previous.Network(n.Key)
		if n.External || old == nil || old.External || old.Name == n.Name || !slices.Contains(o.Networks, old.Name) {
			continue
		}
		if slices.ContainsFunc(g.replicas, func(r rhumb.Replica) bool { return r.Alive() && r.Addrs[old.Name].IsValid() }) {
			list = append(list, rhumb.Attachment{Network: old.Name, Aliases: a.Aliases, Priority: lastPriority})
		}
	}
	return list
}

// lastPriority is below all that users write: such a network is never a replica's way out.
const lastPriority = -1 << 20

// own reports whether a network is one of those that a container's definition names, if it names any: in others it may be
// for a while only.
func own(c *rhumb.Container, network string) bool {
	return len(c.Networks) == 0 || slices.ContainsFunc(c.Networks, func(a rhumb.Attachment) bool { return a.Network == network })
}
