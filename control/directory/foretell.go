package directory

import (
	"slices"

	"rhumb"
)

// Foretell tells in which networks of a model services have addresses of their own, or will have once it is deployed,
// and notes why they have none in the others.
func Foretell(m *rhumb.Stack, held rhumb.Holdings, router rhumb.RouterStatus) (segments map[string]bool, notes []rhumb.Note) {
	segments = map[string]bool{}
	if m == nil {
		return segments, nil
	}
	for _, n := range m.Networks {
		in := func(svc rhumb.Service) bool { _, ok := attachment(&svc, n.Name); return ok }
		if !slices.ContainsFunc(m.Services, in) {
			continue
		}
		why := withoutAddresses(n, held, router)
		if why == "" {
			segments[n.Name] = true
			continue
		}
		notes = append(notes, rhumb.Note{Subject: "networks." + n.Key, Fate: rhumb.Emulated,
			Why: "services have no addresses of their own in it (" + why + "): their names lead straight to replicas, and a caller that keeps an address loses it with the replica"})
	}
	return segments, notes
}

// withoutAddresses says why services have no addresses in a network; "": they have.
func withoutAddresses(n rhumb.Network, held rhumb.Holdings, router rhumb.RouterStatus) string {
	switch {
	case n.External:
		return "it is external"
	case n.Driver != "" && n.Driver != "bridge":
		return "its driver is " + n.Driver
	case router.NoSegments != "":
		return router.NoSegments
	case !slices.Contains(held.Networks, n.Name):
		return ""
	}
	i := slices.IndexFunc(held.Bridges, func(b rhumb.Bridge) bool { return b.Network == n.Name })
	if i < 0 || !held.Bridges[i].Addresses.IsValid() {
		return "it leaves no room for them; rhumb down and rhumb deploy make it anew"
	}
	return ""
}
