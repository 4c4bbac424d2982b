package routing

import (
	"slices"
	"strconv"
	"strings"

	"rhumb"
)

// addOptions returns the ID of options in a table; "" for nil. It adds them if the table lacks them.
func addOptions(t *rhumb.Table, o *rhumb.RouteOptions) string {
	set := rhumb.OptionsOf(o)
	if set.ID != "" && !slices.ContainsFunc(t.Options, func(x rhumb.TableOptions) bool { return x.ID == set.ID }) {
		t.Options = append(t.Options, set)
	}
	return set.ID
}

// portOptions returns the ID of the options of a service's port; "" if it has none.
func portOptions(t *rhumb.Table, s *rhumb.Service, p rhumb.Port) string {
	if p.Protocol != rhumb.HTTP {
		return ""
	}
	return addOptions(t, s.HTTP)
}

// configureOptions sets the options of a stack's rules and listeners to those of the model. It comes before the first
// replica of a release: a route that is to ask for passwords asks before anything new is served.
func configureOptions(t *rhumb.Table, stack string, m *rhumb.Stack) {
	owner := owners(*t)
	of := func(backend string) *rhumb.Service {
		b := owner[backend]
		if b.Stack != stack {
			return nil
		}
		return m.Service(b.Service)
	}
	for i := range t.Rules {
		x := &t.Rules[i]
		if s := of(x.Backend); s != nil {
			at := slices.IndexFunc(s.Routes, func(r rhumb.Route) bool { return r.Address() == ruleAddress(*x) })
			if at >= 0 {
				x.Options = addOptions(t, s.Routes[at].Options)
			}
		}
	}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		if s := of(l.Backend); s != nil && l.Backend != "" {
			at := slices.IndexFunc(s.Ports, func(p rhumb.Port) bool {
				return bindAddr(p) == l.Addr && p.Protocol == l.Protocol
			})
			if at >= 0 {
				l.Options = portOptions(t, s, s.Ports[at])
			}
		}
	}
}

// place sets the slots of a sticky backend's endpoints. They are in the names of the replicas.
func place(b *rhumb.Backend) {
	for i := range b.Endpoints {
		e := &b.Endpoints[i]
		e.Slot = 0
		if b.Sticky {
			e.Slot, _ = strconv.Atoi(e.Name[strings.LastIndexByte(e.Name, '.')+1:]) // 0 if that isn't a replica's name
		}
	}
}

// pruneOptions drops options that no rule and no listener names.
func pruneOptions(t *rhumb.Table) {
	used := map[string]bool{}
	for _, r := range t.Rules {
		used[r.Options] = true
	}
	for _, l := range t.Listeners {
		used[l.Options] = true
	}
	t.Options = slices.DeleteFunc(t.Options, func(o rhumb.TableOptions) bool { return !used[o.ID] })
}

func byID(a, b rhumb.TableOptions) int { return strings.Compare(a.ID, b.ID) }
