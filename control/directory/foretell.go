package directory

import (
	"fmt"
	"slices"

	"rhumb"
)

// Foretell tells in which networks of a model services have addresses of their own, or will have once it is deployed,
// and notes why they have none in the others. It is deployed over previous (nil: nothing), of which these replicas are left.
func Foretell(m, previous *rhumb.Stack, replicas []rhumb.Replica, held rhumb.Holdings, router rhumb.RouterStatus) (segments map[string]bool, notes []rhumb.Note) {
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
	if b, ok := bridgeOf(held, n.Name); !ok || !b.Addresses.IsValid() {
		return "it leaves no room for them; rhumb down and rhumb deploy make it anew"
	}
	return ""
}

// tooSmall says that a network hasn't enough addresses for its services; "": it has.
func tooSmall(b rhumb.Bridge, m, previous *rhumb.Stack, replicas []rhumb.Replica) string {
	wanted := len(members(b.Network, m, previous, replicas))
	if has := room(b, taken(b, []*rhumb.Stack{m, previous}, replicas)); has < wanted {
		return fmt.Sprintf("it has room for %d of %d; write a larger subnet for it", has, wanted)
	}
	return ""
}

func bridgeOf(held rhumb.Holdings, network string) (rhumb.Bridge, bool) {
	i := slices.IndexFunc(held.Bridges, func(b rhumb.Bridge) bool { return b.Network == network })
	if i < 0 {
		return rhumb.Bridge{}, false
	}
	return held.Bridges[i], true
}
