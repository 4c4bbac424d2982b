package rollout

import (
	"strings"

	"rhumb"
)

// graph is who depends on whom in a stack, without cycles.
type graph struct {
	order []*rhumb.Service              // dependencies first, else as in the stack
	edges map[string][]rhumb.Dependency // by service
}

// newGraph sorts the services of a stack. A cycle, which no valid stack has, is cut where it closes.
func newGraph(m *rhumb.Stack) graph {
	g := graph{edges: map[string][]rhumb.Dependency{}}
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
			g.edges[def.Name] = append(g.edges[def.Name], d)
		}
		state[def.Name] = visited
		g.order = append(g.order, def)
	}
	for i := range m.Services {
		if def := defs[m.Services[i].Name]; state[def.Name] == 0 {
			visit(def)
		}
	}
	return g
}

// dependencies gives depends_on, and what the service joins: that must have started.
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

// networkOf names the service whose network the service shares; "": its own.
func networkOf(def *rhumb.Service) string {
	name, _ := strings.CutPrefix(def.Container.NetworkMode, "service:")
	if name == def.Container.NetworkMode {
		return ""
	}
	return name
}

// markNeeded marks what unfinished jobs depend on: those services may change before the jobs have run.
func (t *turn) markNeeded() {
	var mark func(s *service)
	mark = func(s *service) {
		if s.needed {
			return
		}
		s.needed = true
		for _, d := range s.deps {
			if on := t.byName[d.Service]; s.hookOf() == nil || !on.stands() {
				mark(on)
			}
		}
	}
	for _, job := range t.jobsWait {
		mark(job)
	}
}

// open tells whether the service's empty slots may be filled and its old replicas replaced now.
func (s *service) open() bool {
	t := s.t
	if !t.prepared {
		t.waits(s.Name, "waits for networks, volumes and addresses")
		return false
	}
	if s.waitsForJobs() {
		t.waits(s.Name, "waits for "+jobTitle(t.jobsWait[0].Name))
		return false
	}
	for _, d := range s.deps {
		if t.w.Mode == Hold {
			break // what is held was there: it need not wait for one another
		}
		on := t.byName[d.Service]
		if s.hookOf() != nil && on.stands() {
			continue // a migration works on the database that serves, whether that will change or not
		}
		if why := on.unmet(d.Condition); why != "" {
			t.waits(s.Name, "waits for "+why)
			return false
		}
	}
	return s.joinable()
}

// waitsForJobs tells whether jobs must run before any replica of the service changes.
func (s *service) waitsForJobs() bool { return len(s.t.jobsWait) > 0 && !s.needed }

// joinable tells whether the services that this one joins are there.
func (s *service) joinable() bool {
	for _, name := range s.Container.Joins() {
		on := s.t.byName[name]
		if on == nil || on == s {
			continue
		}
		if why := on.unmet(rhumb.DependsStarted); why != "" {
			s.t.waits(s.Name, "waits for "+why)
			return false
		}
	}
	return true
}

// unmet says in which way the service doesn't meet the condition; "": it does. What was given up isn't waited for.
func (s *service) unmet(c rhumb.Condition) string {
	if s.Job {
		if s.mustRun() {
			return jobTitle(s.Name)
		}
		return ""
	}
	for i := range s.slots {
		sl := &s.slots[i]
		switch {
		case sl.status == resting || sl.status == lost:
		case c == rhumb.DependsHealthy && (!sl.ready || s.led && !s.t.active(sl.main)):
			return s.Name + " to be healthy"
		case sl.main == nil || !sl.main.Alive() || s.t.o.Stopping[sl.main.ID] || s.t.pending(sl.main):
			return s.Name + " to be started"
		}
	}
	return ""
}

// jobTitle names a job or a hook.
func jobTitle(name string) string {
	if title := rhumb.JobTitle(name); title != name {
		return title
	}
	return "job " + name
}
