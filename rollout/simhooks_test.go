package rollout

import (
	"slices"
	"time"

	"rhumb"
)

// hook gives some services a pre_start hook, as the model has it: a job that they await.
func (g *simStacks) hook(r *simRelease) {
	m := r.model
	for i := range m.Services {
		s := &m.Services[i]
		s.DependsOn = slices.DeleteFunc(slices.Clone(s.DependsOn), func(d rhumb.Dependency) bool { _, _, hook := rhumb.HookOf(d.Service); return hook })
		if s.Job || !g.hooked[s.Name] {
			continue
		}
		h := rhumb.Service{Name: rhumb.HookService(s.Name, 1), Job: true, Replicas: 1, DependsOn: slices.Clone(s.DependsOn), Order: rhumb.StartFirst,
			Update: rhumb.Policy{Parallelism: 1, OnFailure: rhumb.ActionRollback}, Rollback: rhumb.Policy{OnFailure: rhumb.ActionPause},
			Ready: rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: pick(g.rng, 0, 4*time.Second, time.Minute)}}
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

// dress gives a service hooks and a check, or takes them away.
func (g *simStacks) dress(s *rhumb.Service) {
	g.hooked[s.Name] = g.chance(0.3)
	s.PostStart, s.After = nil, nil
	if g.chance(0.2) {
		s.PostStart = []rhumb.Hook{{Command: []string{"greet"}, Timeout: 3 * time.Second}}
	}
	if g.chance(0.2) {
		s.After = &rhumb.Check{Path: "/", Port: 80, Timeout: 3 * time.Second}
	}
}

// greet looks after the post_start hooks: it begins those that nobody carries out, and ends those that are due.
func (s *sim) greet(o *Observed) {
	o.PostStart = map[string]time.Time{}
	for _, r := range s.replicas {
		if !r.PostStart || !r.Alive() || r.Slot == 0 {
			continue
		}
		due, begun := s.greeting[r.ID]
		switch {
		case !r.greeted.IsZero() || s.recorded[r.ID] || s.beingStopped(r.ID):
		case !begun:
			s.greeting[r.ID] = s.now.Add(s.between(0, 3*time.Second))
		case s.now.Before(due):
		case !s.calm && s.chance(0.03):
			delete(s.greeting, r.ID)
			s.record(rhumb.Failure{Service: r.Service, Slot: r.Slot, Release: r.Release, ID: r.ID, Reason: "its hook fails"})
		default:
			r.greeted = s.now
		}
		o.PostStart[r.ID] = r.greeted
	}
}

// greetings is when the next hook ends; zero: none is under way.
func (s *sim) greetings() time.Time {
	var next time.Time
	for _, at := range s.greeting {
		if at.After(s.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// performCheck asks what must hold before a deployment has converged. Who asks must find everything in place.
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
		if def := &rel.model.Services[i]; def.After != nil && c.s.dep.Cause == rhumb.CauseDeploy && !slices.Contains(c.s.dep.Checked, def.Name) {
			c.fail("%s isn't checked", def.Name)
		}
	}
}

// asks checks that all is in place when a check is asked for.
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

// stands tells whether any replica from before the deployment does the service's work.
func (c *simCheck) stands(service string) bool {
	return slices.ContainsFunc(c.s.replicas, func(r *simReplica) bool {
		return r.Service == service && r.Slot > 0 && c.serves(r) && r.Started.Before(c.s.dep.Started)
	})
}
