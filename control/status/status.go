// Package status says how a stack stands. It is pure: a scene goes in, what people see comes out.
package status

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/control/scene"
	"rhumb/rollout"
)

// Services returns how the services of the wanted release stand, and those of which only replicas are left, by name.
func Services(s *scene.Scene, now time.Time) []rhumb.ServiceStatus {
	byName := map[string]*rhumb.ServiceStatus{}
	at := func(name string) *rhumb.ServiceStatus {
		if byName[name] == nil {
			byName[name] = &rhumb.ServiceStatus{Name: name}
		}
		return byName[name]
	}
	if s.Wanted.Model != nil {
		for _, svc := range s.Wanted.Model.Services {
			st := at(svc.Name)
			st.Image, st.Replicas, st.Job, st.Order = svc.Container.Image, svc.Replicas, svc.Job, svc.Applied().Order
			st.Address = svc.Addresses()
		}
	}
	for _, rep := range s.Observed.Replicas {
		if rep.Slot == 0 {
			continue
		}
		st := at(rep.Service)
		r := replica(s, rep, now)
		if _, wanted := s.Definition(rep); r.Ready && wanted {
			st.Ready++
		}
		st.Slots = append(st.Slots, r)
	}
	list := make([]rhumb.ServiceStatus, 0, len(byName))
	for _, st := range byName {
		list = append(list, *st)
	}
	slices.SortFunc(list, func(a, b rhumb.ServiceStatus) int { return cmp.Compare(a.Name, b.Name) })
	addHeld(list, s, now)
	return list
}

// addHeld adds how many requests wait in the proxy for a replica of a service, and how long the first has waited.
func addHeld(services []rhumb.ServiceStatus, s *scene.Scene, now time.Time) {
	for _, b := range s.Router.Table.Backends {
		held := s.Router.Backends[b.Name]
		i := slices.IndexFunc(services, func(svc rhumb.ServiceStatus) bool { return svc.Name == b.Service })
		if b.Stack != s.Stack() || held.Waiting == 0 || i < 0 {
			continue
		}
		services[i].Waiting += held.Waiting
		services[i].Waited = max(services[i].Waited, now.Sub(held.WaitingSince))
	}
}

// replica returns how a replica stands. It is ready if the next turn will find it ready.
func replica(s *scene.Scene, rep rhumb.Replica, now time.Time) rhumb.ReplicaStatus {
	rs := rhumb.ReplicaStatus{Replica: rep, Name: rep.Name()}
	def, wanted := s.Definition(rep)
	since, ready := rollout.ReadySince(&s.Observed, def, rep)
	rs.Ready = ready && !since.After(now)
	if route, ok := s.Observed.Routes[rep.ID]; ok {
		rs.Routed, rs.Open = "active", route.Open
		if route.Draining {
			rs.Routed = "draining"
		}
	}
	if rep.Alive() {
		leaving := !wanted && rs.Routed == "" || s.Observed.Stopping[rep.ID]
		rs.Status = alive(&rs, leaving, now.Sub(since), now)
	} else {
		rs.Status, rs.Retry = dead(rep, def, wanted, now)
	}
	return rs
}

// alive returns the status of a replica that runs or is paused.
func alive(rs *rhumb.ReplicaStatus, leaving bool, ready time.Duration, now time.Time) string {
	switch {
	case leaving:
		return "leaving"
	case rs.Routed == "draining":
		return fmt.Sprintf("draining, %d open", rs.Open)
	case rs.State == rhumb.StatePaused:
		return "paused by hand"
	case rs.Ready:
		return "ready for " + rhumb.Span(ready)
	case rs.Health == rhumb.HealthUnhealthy:
		return "unhealthy"
	}
	return "starting for " + rhumb.Span(now.Sub(rs.Started))
}

// dead returns the status of a replica that doesn't run, and when it is started again.
func dead(rep rhumb.Replica, def *rhumb.Service, wanted bool, now time.Time) (text string, retry time.Time) {
	switch {
	case rep.State == rhumb.StateCreated:
		return "created", retry
	case def != nil && rollout.Completed(def, rep):
		return "completed", retry
	case !wanted:
		return "ended", retry
	}
	text = card.End(rep)
	if def != nil && !def.Job {
		retry = rollout.RetryAt(def, rep)
	}
	if retry.After(now) {
		text += ", again in " + rhumb.Span(retry.Sub(now))
	}
	return text, retry
}
