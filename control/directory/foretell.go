package directory

import (
	"fmt"
	"slices"

	"rhumb"
)

// Foretell returns the networks in which the services of a model have service addresses, or will have once it is
// deployed, and notes that say why they have none in the others. The model is deployed over previous (nil: nothing),
// of which these replicas run.
func Foretell(
	m, previous *rhumb.Stack, replicas []rhumb.Replica, held rhumb.Holdings, router rhumb.RouterStatus,
) (segments map[string]bool, notes []rhumb.Note) {
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
		if b, ok := bridgeOf(held, n.Name); why == "" && ok {
			why = tooSmall(b, m, previous, replicas)
		}
		if why == "" {
			segments[n.Name] = true
			continue
		}
		notes = append(notes, rhumb.Note{Subject: "networks." + n.Key, Fate: rhumb.Emulated,
			Why: "services have no addresses of their own in it (" + why + "): " +
				"their names lead straight to replicas, and a caller that keeps an address loses it with the replica"})
	}
	return segments, notes
}

// withoutAddresses returns why services can't have addresses in a network; "": they can.
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
	if b, ok := bridgeOf(held, n.Name); !ok || !b.Addresses.IsValid() {
		return "it leaves no room for them; rhumb down and rhumb deploy create it again"
	}
	return ""
}

// tooSmall returns why a network has too few addresses for its services; "": it has enough.
func tooSmall(b rhumb.Bridge, m, previous *rhumb.Stack, replicas []rhumb.Replica) string {
	wanted := len(members(b.Network, m, previous, replicas))
	if has := room(b, taken(b, []*rhumb.Stack{m, previous}, replicas)); has < wanted {
		return fmt.Sprintf("it has room for %d of %d; write a larger subnet for it", has, wanted)
	}
	return ""
}

// bridgeOf returns a network of the engine by its name, and false if it is not there.
func bridgeOf(held rhumb.Holdings, network string) (rhumb.Bridge, bool) {
	i := slices.IndexFunc(held.Bridges, func(b rhumb.Bridge) bool { return b.Network == network })
	if i < 0 {
		return rhumb.Bridge{}, false
	}
	return held.Bridges[i], true
}
