package rollout

import (
	"slices"
	"time"

	"rhumb"
)

// hook adds a pre_start hook to some services: a job on which they depend, as in a real model.
func (g *simStacks) hook(r *simRelease) {
	m := r.model
	for i := range m.Services {
		s := &m.Services[i]
		s.DependsOn = slices.DeleteFunc(slices.Clone(s.DependsOn), func(d rhumb.Dependency) bool {
			_, _, hook := rhumb.HookOf(d.Service)
			return hook
		})
		if s.Job || !g.hooked[s.Name] {
			continue
		}
		h := rhumb.Service{Name: rhumb.HookService(s.Name, 1), Job: true, Replicas: 1,
			DependsOn: slices.Clone(s.DependsOn), Order: rhumb.StartFirst,
			Update:   rhumb.Policy{Parallelism: 1, OnFailure: rhumb.ActionRollback},
			Rollback: rhumb.Policy{OnFailure: rhumb.ActionPause},
			Ready:    rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: pick(g.rng, 0, 4*time.Second, time.Minute)}}
		if g.calm {
			h.Ready.Timeout = 0
		}
		h.Container.Image = s.Container.Image
		h.Container.RestartOn = map[string]string{s.Name: r.specs[s.Name]}
		h.Container.Networks = s.Container.Networks
		s.DependsOn = append(s.DependsOn, rhumb.Dependency{Service: h.Name, Condition: rhumb.DependsCompleted})
		r.specs[h.Name] = h.Container.Hash()
		r.quality[h.Name] = g.quality()
		m.Services = append(m.Services, h)
	}
}

// hookAndCheck adds hooks and a check to a service, or removes them.
func (g *simStacks) hookAndCheck(s *rhumb.Service) {
	g.hooked[s.Name] = g.chance(0.3)
	s.PostStart, s.After = nil, nil
	if g.chance(0.2) {
		s.PostStart = []rhumb.Hook{{Command: []string{"warm-up"}, Timeout: 3 * time.Second}}
	}
	if g.chance(0.2) {
		s.After = &rhumb.Check{Path: "/", Port: 80, Timeout: 3 * time.Second}
	}
}

// runPostStarts begins post_start hooks that aren't under way, and ends those that are due.
func (s *sim) runPostStarts(o *Observed) {
	o.PostStart = map[string]time.Time{}
	for _, r := range s.replicas {
		if !r.PostStart || !r.Alive() || r.Slot == 0 {
			continue
		}
		due, begun := s.postStarts[r.ID]
		switch {
		case !r.hooksDone.IsZero() || s.recorded[r.ID] || s.beingStopped(r.ID):
		case !begun:
			s.postStarts[r.ID] = s.now.Add(s.between(0, 3*time.Second))
		case s.now.Before(due):
		case !s.calm && s.chance(0.03):
			delete(s.postStarts, r.ID)
			s.record(rhumb.Failure{Service: r.Service, Slot: r.Slot, Release: r.Release, ID: r.ID,
				Reason: "its hook fails"})
		default:
			r.hooksDone = s.now
		}
		o.PostStart[r.ID] = r.hooksDone
	}
}

// nextPostStart is when the next hook ends; zero: none is under way.
func (s *sim) nextPostStart() time.Time {
	var next time.Time
	for _, at := range s.postStarts {
		if at.After(s.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// performCheck runs a service's check.
func (s *sim) performCheck(st rhumb.Step) {
	if s.dep.Phase != rhumb.PhaseRolling || s.dep.To != st.Release {
		return
	}
	if !s.calm && s.chance(0.1) {
		s.record(rhumb.Failure{Service: st.Service, Release: st.Release, Reason: "its check fails"})
		return
	}
	s.dep.Checked = append(s.dep.Checked, st.Service)
}

// checked checks that a deployment of new files has converged only once all its checks have passed.
func (c *simCheck) checked(rel *simRelease) {
	for i := range rel.model.Services {
		def := &rel.model.Services[i]
		if def.After != nil && c.s.dep.Cause == rhumb.CauseDeploy && !slices.Contains(c.s.dep.Checked, def.Name) {
			c.fail("%s isn't checked", def.Name)
		}
	}
}

// asks checks that everything is in place when a decision contains a check.
func (c *simCheck) asks(w Wanted, st rhumb.Step) {
	for i := range w.Model.Services {
		def := &w.Model.Services[i]
		for slot := 1; slot <= def.Replicas && !def.Job; slot++ {
			if !c.filled(def, slot, w.Specs[def.Name]) {
				c.fail("%s before %s.%d is in place", st, def.Name, slot)
			}
		}
	}
}

// stands reports whether any replica from before the deployment does the service's work.
func (c *simCheck) stands(service string) bool {
	return slices.ContainsFunc(c.s.replicas, func(r *simReplica) bool {
		return r.Service == service && r.Slot > 0 && c.serves(r) && r.Started.Before(c.s.dep.Started)
	})
}
