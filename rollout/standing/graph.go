package standing

import (
	"strings"

	"rhumb"
)

// Graph is which service of a stack depends on which, without cycles.
type Graph struct {
	Order []*rhumb.Service              // dependencies first, otherwise as in the stack
	Edges map[string][]rhumb.Dependency // by service
}

// NewGraph sorts the services of a stack. A cycle, which no valid stack has, is cut where it closes.
func NewGraph(m *rhumb.Stack) Graph {
	g := Graph{Edges: map[string][]rhumb.Dependency{}}
	defs := make(map[string]*rhumb.Service, len(m.Services))
	for i := range m.Services {
		defs[m.Services[i].Name] = &m.Services[i]
	}
	const visiting, visited = 1, 2
	state := make(map[string]int, len(defs))
	var visit func(def *rhumb.Service)
	visit = func(def *rhumb.Service) {
		state[def.Name] = visiting
		for _, d := range dependencies(def) {
			on := defs[d.Service]
			if on == nil || state[d.Service] == visiting {
				continue
			}
			if state[d.Service] == 0 {
				visit(on)
			}
			g.Edges[def.Name] = append(g.Edges[def.Name], d)
		}
		state[def.Name] = visited
		g.Order = append(g.Order, def)
	}
	for i := range m.Services {
		if def := defs[m.Services[i].Name]; state[def.Name] == 0 {
			visit(def)
		}
	}
	return g
}

// dependencies returns depends_on, and the services that this one joins: those must have started.
func dependencies(def *rhumb.Service) []rhumb.Dependency {
	joined := def.Container.Joins()
	if len(joined) == 0 {
		return def.DependsOn
	}
	all := append([]rhumb.Dependency(nil), def.DependsOn...)
	for _, name := range joined {
		all = append(all, rhumb.Dependency{Service: name, Condition: rhumb.DependsStarted})
	}
	return all
}

// NetworkOf returns the name of the service whose network the service shares; "": its own.
func NetworkOf(def *rhumb.Service) string {
	name, _ := strings.CutPrefix(def.Container.NetworkMode, "service:")
	if name == def.Container.NetworkMode {
		return ""
	}
	return name
}

// Before returns, by orphaned service, the service that must go before it: a service that depends on it in the release
// that is left behind, and still has replicas of that release alive.
func (st *Stack) Before() map[string]string {
	before := map[string]string{}
	if st.Wanted.Previous == nil {
		return before
	}
	alive := leaversAlive(st)
	g := NewGraph(st.Wanted.Previous)
	for _, def := range g.Order {
		for _, d := range g.Edges[def.Name] {
			if alive[def.Name] && before[d.Service] == "" {
				before[d.Service] = def.Name
			}
		}
	}
	return before
}

// leaversAlive returns the services that have alive replicas which the wanted release doesn't have. The old replicas of
// a slot that is given up may stay, so they don't count.
func leaversAlive(st *Stack) map[string]bool {
	alive := map[string]bool{}
	for _, r := range st.Orphans {
		alive[r.Service] = alive[r.Service] || r.Alive()
	}
	for _, s := range st.Services {
		for i := range s.Slots {
			if sl := &s.Slots[i]; sl.Status != GivenUp && sl.OldAlive() {
				alive[s.Name] = true
			}
		}
		for _, r := range s.Surplus {
			alive[s.Name] = alive[s.Name] || r.Alive()
		}
	}
	return alive
}
