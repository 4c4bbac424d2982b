package control

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/rollout"
	"rhumb/rollout/diff"
)

// Info describes the daemon, its engine and its proxy.
func (c *Control) Info(ctx context.Context) (rhumb.ServerInfo, error) {
	info := rhumb.ServerInfo{Version: c.Version, Started: c.started, Data: c.Data, Goroutines: runtime.NumGoroutine()}
	var err error
	if info.Engine, err = c.Engine.Info(ctx); err != nil {
		return info, err
	}
	_, err = c.desk.Status(ctx)
	info.Proxy = err == nil
	return info, nil
}

// Stacks lists the stacks with their services.
func (c *Control) Stacks(ctx context.Context) ([]rhumb.StackInfo, error) {
	states, err := c.Store.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	infos := []rhumb.StackInfo{}
	for _, s := range states {
		info, err := c.status(ctx, s)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// Status tells how a stack stands.
func (c *Control) Status(ctx context.Context, stack string) (rhumb.StackInfo, error) {
	state, err := c.Store.StackState(ctx, stack)
	if err != nil {
		return rhumb.StackInfo{}, err
	}
	if state.Current == 0 && state.Open == 0 {
		return rhumb.StackInfo{}, notDeployed(stack)
	}
	return c.status(ctx, state)
}

func (c *Control) status(ctx context.Context, s rhumb.StackState) (rhumb.StackInfo, error) {
	info := rhumb.StackInfo{Name: s.Name, Release: s.Current}
	d, err := c.Store.Deployment(ctx, s.Name, s.Open)
	if err == nil {
		info.Deployment = &d
	} else if rhumb.ErrorCode(err) != rhumb.NotFound {
		return info, err
	}
	r := c.runner(s.Name)
	g, err := r.goal(ctx)
	if err != nil {
		return info, err
	}
	o, seen, err := r.see(ctx)
	if err != nil {
		return info, err
	}
	g.replicas = o.Replicas
	now := time.Now()
	info.Services = serviceStatuses(g, o, now)
	noteHolds(info.Services, s.Name, seen.router, now)
	return info, nil
}

// noteHolds tells of how many requests wait in the proxy for a replica of a service.
func noteHolds(services []rhumb.ServiceStatus, stack string, st rhumb.RouterStatus, now time.Time) {
	for _, b := range st.Table.Backends {
		held := st.Backends[b.Name]
		i := slices.IndexFunc(services, func(s rhumb.ServiceStatus) bool { return s.Name == b.Service })
		if b.Stack != stack || held.Waiting == 0 || i < 0 {
			continue
		}
		services[i].Waiting += held.Waiting
		services[i].Waited = max(services[i].Waited, now.Sub(held.WaitingSince))
	}
}

// serviceStatuses tells how the services of the wanted release stand, and those that are only left over.
func serviceStatuses(g *goal, o rollout.Observed, now time.Time) []rhumb.ServiceStatus {
	byName := map[string]*rhumb.ServiceStatus{}
	var order []*rhumb.ServiceStatus
	at := func(name string) *rhumb.ServiceStatus {
		if byName[name] == nil {
			byName[name] = &rhumb.ServiceStatus{Name: name}
			order = append(order, byName[name])
		}
		return byName[name]
	}
	if g.wanted.Model != nil {
		for _, s := range g.wanted.Model.Services {
			st := at(s.Name)
			st.Image, st.Replicas, st.Job, st.Order, st.Address = s.Container.Image, s.Replicas, s.Job, s.Applied().Order, s.Addresses()
		}
	}
	for _, rep := range o.Replicas {
		if rep.Slot == 0 {
			continue
		}
		st := at(rep.Service)
		rs := replicaStatus(g, o, rep, now)
		if _, wanted := g.definition(rep); rs.Ready && wanted {
			st.Ready++
		}
		st.Slots = append(st.Slots, rs)
	}
	list := make([]rhumb.ServiceStatus, len(order))
	for i, st := range order {
		list[i] = *st
	}
	slices.SortFunc(list, func(a, b rhumb.ServiceStatus) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func replicaStatus(g *goal, o rollout.Observed, rep rhumb.Replica, now time.Time) rhumb.ReplicaStatus {
	rs := rhumb.ReplicaStatus{Replica: rep, Name: rep.Name()}
	since, ready := o.Ready[rep.ID]
	s, wanted := g.definition(rep)
	if s != nil && s.Ready.Kind == rhumb.ReadyRunning && rep.State == rhumb.StateRunning {
		since, ready = ranLong(o, rep, s)
		ready = ready && !since.After(now)
	}
	rs.Ready = ready && rep.Alive()
	if rt, ok := o.Routes[rep.ID]; ok {
		rs.Routed, rs.Open = "active", rt.Open
		if rt.Draining {
			rs.Routed = "draining"
		}
	}
	switch {
	case rep.Alive() && !wanted && rs.Routed == "":
		rs.Status = "leaving"
	case rep.Alive() && rs.Routed == "draining":
		rs.Status = fmt.Sprintf("draining, %d open", rs.Open)
	case rep.State == rhumb.StatePaused:
		rs.Status = "paused by hand"
	case rs.Ready:
		rs.Status = "ready for " + rhumb.Span(now.Sub(since))
	case rep.Health == rhumb.HealthUnhealthy && rep.Alive():
		rs.Status = "unhealthy"
	case rep.Alive():
		rs.Status = "starting for " + rhumb.Span(now.Sub(rep.Started))
	case rep.State == rhumb.StateCreated:
		rs.Status = "created"
	case s != nil && rollout.Completed(s, rep):
		rs.Status = "completed"
	case !wanted:
		rs.Status = "ended"
	default:
		rs.Status = card.End(rep)
		if s != nil && !s.Job {
			rs.Retry = rollout.RetryAt(s, rep)
		}
		if rs.Retry.After(now) {
			rs.Status += ", again in " + rhumb.Span(rs.Retry.Sub(now))
		}
	}
	return rs
}

// Events lists stored events, oldest first, and with Follow those that come.
func (c *Control) Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return c.events.Events(ctx, f)
}

// Releases lists a stack's releases, newest first.
func (c *Control) Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	list, err := c.Store.Releases(ctx, stack)
	if err == nil && len(list) == 0 {
		return nil, notDeployed(stack)
	}
	return list, err
}

// Diff tells how release b differs from release a.
func (c *Control) Diff(ctx context.Context, stack string, a, b int) ([]rhumb.Difference, error) {
	ra, err := c.Store.Release(ctx, stack, a)
	if err != nil {
		return nil, err
	}
	rb, err := c.Store.Release(ctx, stack, b)
	if err != nil {
		return nil, err
	}
	return diff.Stacks(&ra.Model, &rb.Model), nil
}

// Routes tells what the proxy serves.
func (c *Control) Routes(ctx context.Context) (rhumb.RouterStatus, error) { return c.desk.Status(ctx) }
