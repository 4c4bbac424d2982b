package scene

import (
	"slices"

	"rhumb"
	"rhumb/rollout"
)

// Spec returns what the engine needs for any replica of a service of a model.
func Spec(m *rhumb.Stack, svc *rhumb.Service) rhumb.ReplicaSpec {
	spec := rhumb.ReplicaSpec{Stack: m.Name, Service: svc.Name, Container: svc.Container, Spec: svc.Container.Hash()}
	for _, mt := range svc.Container.Mounts {
		if mt.Type == rhumb.MountFile {
			if f := m.File(mt.Kind, mt.Source); f != nil {
				spec.Files = append(spec.Files, *f)
			}
		}
	}
	return spec
}

// Joined returns the replicas whose namespaces or volumes a slot of the service shares, by service: the replica in the
// same slot, else the first. Replicas that are leaving are passed over.
func (s *Scene) Joined(svc *rhumb.Service, slot int) map[string]string {
	ids := map[string]string{}
	for _, name := range svc.Container.Joins() {
		for _, rep := range s.Observed.Replicas {
			if rep.Service != name || leaving(&s.Observed, rep) || ids[name] != "" && rep.Slot != slot {
				continue
			}
			if def, wanted := s.Definition(rep); def != nil && wanted {
				ids[name] = rep.ID
			}
		}
	}
	return ids
}

// leaving reports whether a replica is no replica of a slot, or not for long.
func leaving(o *rollout.Observed, rep rhumb.Replica) bool {
	return !rep.Alive() || rep.Slot == 0 || o.Stopping[rep.ID] || o.Recorded[rep.ID] || o.Routes[rep.ID].Draining
}

// Beside returns the networks that a new replica of a service joins besides its own. Where a network of the service is
// replaced by one of another name, callers that haven't moved yet reach the service in the old one.
func (s *Scene) Beside(svc *rhumb.Service) []rhumb.Attachment {
	var list []rhumb.Attachment
	for _, a := range svc.Container.Networks {
		i := slices.IndexFunc(s.Wanted.Model.Networks, func(n rhumb.Network) bool { return n.Name == a.Network })
		if i < 0 {
			continue
		}
		n := s.Wanted.Model.Networks[i]
		old := s.Wanted.Previous.Network(n.Key)
		if n.External || old == nil || old.External || old.Name == n.Name {
			continue
		}
		if !slices.Contains(s.Observed.Networks, old.Name) {
			continue
		}
		inOld := func(r rhumb.Replica) bool { return r.Alive() && r.Addrs[old.Name].IsValid() }
		if slices.ContainsFunc(s.Observed.Replicas, inOld) {
			list = append(list, rhumb.Attachment{Network: old.Name, Aliases: a.Aliases, Priority: lastPriority})
		}
	}
	return list
}

// lastPriority is below all that users write: a network with it is never a replica's default route.
const lastPriority = -1 << 20
