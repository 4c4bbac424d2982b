package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/control/routing"
	"rhumb/rollout"
)

// perform does one step. Doing it again does no harm.
func (r *runner) perform(ctx context.Context, g *goal, o rollout.Observed, s rhumb.Step) error {
	e := r.c.Engine
	switch s.Kind {
	case rhumb.StepNetwork:
		for _, n := range g.wanted.Model.Networks {
			if n.Name == s.Name {
				return e.EnsureNetwork(ctx, r.stack, n)
			}
		}
	case rhumb.StepVolume:
		for _, v := range g.wanted.Model.Volumes {
			if v.Name == s.Name {
				return e.EnsureVolume(ctx, r.stack, v)
			}
		}
	case rhumb.StepPublish, rhumb.StepUnpublish, rhumb.StepRoute, rhumb.StepDrain, rhumb.StepUnroute:
		return r.reroute(ctx, g, s)
	case rhumb.StepStart, rhumb.StepRun:
		return r.start(ctx, g, o, s)
	case rhumb.StepRecord:
		return r.record(ctx, g, o, s)
	case rhumb.StepCheck:
		return r.check(ctx, g, o, s)
	case rhumb.StepStop:
		if err := r.bid(ctx, g, o, s.Replica); err != nil {
			return err
		}
		if err := e.Stop(ctx, s.Replica); err != nil {
			return err
		}
		r.tellStep(ctx, g, s, rhumb.EventStopped, "")
	case rhumb.StepRemove:
		return e.Remove(ctx, s.Replica)
	case rhumb.StepRemoveNetwork:
		if err := r.c.desk.Edit(ctx, func(t *rhumb.Table) { routing.DropSegment(t, r.stack, s.Name) }); err != nil {
			return err
		}
		return e.RemoveNetwork(ctx, r.stack, s.Name)
	case rhumb.StepRemoveVolume:
		return e.RemoveVolume(ctx, r.stack, s.Name)
	default:
		return rhumb.Errorf(rhumb.Internal, "unknown step %q", s.Kind)
	}
	return nil
}

// reroute changes the routing table and returns once the proxy serves it.
func (r *runner) reroute(ctx context.Context, g *goal, s rhumb.Step) error {
	var edit func(*rhumb.Table)
	var refused error
	switch s.Kind {
	case rhumb.StepPublish:
		svc := g.wanted.Model.Service(s.Service)
		if svc == nil {
			return nil
		}
		edit = func(t *rhumb.Table) { refused = routing.Publish(t, r.stack, svc, s.Name) }
	case rhumb.StepUnpublish:
		edit = func(t *rhumb.Table) { routing.Unpublish(t, r.stack, s.Name) }
	case rhumb.StepRoute:
		rep, ok := g.replica(s.Replica)
		if !ok {
			return nil
		}
		route, err := r.route(g, rep)
		if err != nil {
			return err
		}
		edit = func(t *rhumb.Table) { refused = route(t) }
	case rhumb.StepDrain, rhumb.StepUnroute:
		if err := r.awaitQuiet(ctx, g, s); err != nil {
			return err
		}
		edit = func(t *rhumb.Table) { r.withdraw(t, g, s, time.Now()) }
	}
	if err := r.c.desk.Edit(ctx, edit); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	if s.Kind == rhumb.StepDrain {
		r.tellStep(ctx, g, s, rhumb.EventDraining, s.Why)
	}
	return nil
}

// route returns the edit that has a replica get new connections. The edit fails if the replica can't be reached at all.
func (r *runner) route(g *goal, rep rhumb.Replica) (func(*rhumb.Table) error, error) {
	svc, wanted := g.definition(rep)
	if svc == nil {
		return nil, rhumb.Errorf(rhumb.Internal, "%s: no release at hand says how it is reached", rep.Name())
	}
	at, err := g.address(rep)
	if err != nil {
		return nil, err
	}
	return func(t *rhumb.Table) error {
		routing.Route(t, r.stack, svc, rep, at)
		if wanted {
			routing.PublishAll(t, r.stack, svc)
		}
		if !routing.RouteInside(t, r.stack, rep) && !svc.Served() {
			return rhumb.Errorf(rhumb.Unavailable, "%s can't be reached: it shares no network with the proxy", rep.Name())
		}
		return nil
	}, nil
}

// withdraw drains or unroutes a replica. If it leaves its service without anybody by plan, callers wait for the next.
func (r *runner) withdraw(t *rhumb.Table, g *goal, s rhumb.Step, now time.Time) {
	planned := s.Kind == rhumb.StepDrain
	if s.Kind == rhumb.StepDrain {
		routing.Drain(t, r.stack, s.Replica, now)
	} else {
		planned = routing.Draining(t, r.stack, s.Replica)
		routing.Unroute(t, s.Replica)
	}
	if wait := g.patience(s.Service); planned && wait > 0 {
		routing.Expect(t, r.stack, s.Service, now.Add(wait))
	}
}

// address gives the address at which the proxy and the probes reach a replica.
func (g *goal) address(rep rhumb.Replica) (netip.Addr, error) {
	if joined, ok := g.replica(rep.Joined); ok && rep.Joined != "" {
		return g.address(joined)
	}
	s, _ := g.definition(rep)
	if s != nil && s.Container.NetworkMode == "host" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	var best netip.Addr
	for name, a := range rep.Addrs {
		if !a.IsValid() || s != nil && !own(&s.Container, name) {
			continue
		}
		outer := !g.internal(name)
		if !best.IsValid() || outer && a.Less(best) || outer && g.isInternalAddr(rep, best) {
			best = a
		}
	}
	if !best.IsValid() {
		return best, rhumb.Errorf(rhumb.Unavailable, "%s has no address", rep.Name())
	}
	return best, nil
}

func (g *goal) internal(network string) bool {
	for _, m := range []*rhumb.Stack{g.wanted.Model, g.wanted.Previous} {
		if m == nil {
			continue
		}
		for _, n := range m.Networks {
			if n.Name == network {
				return n.Internal
			}
		}
	}
	return false
}

func (g *goal) isInternalAddr(rep rhumb.Replica, a netip.Addr) bool {
	for name, x := range rep.Addrs {
		if x == a {
			return g.internal(name)
		}
	}
	return false
}

// start starts the replica of a slot; a dead one that it replaces is removed first.
func (r *runner) start(ctx context.Context, g *goal, o rollout.Observed, s rhumb.Step) error {
	svc := g.wanted.Model.Service(s.Service)
	if svc == nil {
		return rhumb.Errorf(rhumb.Internal, "%s isn't in the wanted release", s.Service)
	}
	if err := r.preStart(ctx, g, o, s, svc); err != nil {
		return err
	}
	select {
	case r.c.starts <- struct{}{}:
		defer func() { <-r.c.starts }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r.tellStep(ctx, g, s, rhumb.EventStarting, s.Why)
	if s.Replica != "" {
		if err := r.c.Engine.Remove(ctx, s.Replica); err != nil {
			return err
		}
	}
	spec := replicaSpec(g.wanted.Model, svc)
	spec.Release, spec.Slot, spec.Restarts, spec.PostStart = s.Release, s.Slot, s.Restarts, len(svc.PostStart) > 0
	spec.VolumesOf, _, _ = rhumb.HookOf(svc.Name)
	spec.Joined, spec.Beside = g.joined(svc, s.Slot, o), g.beside(svc, o)
	names, err := r.names(ctx, g, &spec.Container)
	if err != nil {
		return err
	}
	spec.Hosts = names
	rep, err := r.c.Engine.Start(ctx, spec)
	if err != nil {
		return err
	}
	r.naming.Record(rep.ID, spec.Hosts)
	for _, w := range rep.Warnings {
		if s.Slot == 1 { // the others are made alike
			r.tellStep(ctx, g, s, rhumb.EventWarning, "the engine warns: "+w)
		}
	}
	if rep.Error == "" {
		r.tellStep(ctx, g, s, rhumb.EventStarted, "")
	}
	return nil
}

// replicaSpec gives what the engine needs for any replica of a service.
func replicaSpec(m *rhumb.Stack, s *rhumb.Service) rhumb.ReplicaSpec {
	spec := rhumb.ReplicaSpec{Stack: m.Name, Service: s.Name, Container: s.Container, Spec: s.Container.Hash()}
	for _, mt := range s.Container.Mounts {
		if mt.Type == rhumb.MountFile {
			if f := m.File(mt.Kind, mt.Source); f != nil {
				spec.Files = append(spec.Files, *f)
			}
		}
	}
	return spec
}

// joined finds the replicas whose namespaces or volumes a slot of the service shares: the same slot's, else the first.
// One that is on its way out isn't joined.
func (g *goal) joined(s *rhumb.Service, slot int, o rollout.Observed) map[string]string {
	ids := map[string]string{}
	for _, name := range s.Container.Joins() {
		for _, rep := range g.replicas {
			leaving := !rep.Alive() || rep.Slot == 0 || o.Stopping[rep.ID] || o.Recorded[rep.ID] || o.Routes[rep.ID].Draining
			if rep.Service != name || leaving || ids[name] != "" && rep.Slot != slot {
				continue
			}
			if def, wanted := g.definition(rep); def != nil && wanted {
				ids[name] = rep.ID
			}
		}
	}
	return ids
}

// giveUp makes a failure of a step that can't be done, so that the deployment learns of it.
func (r *runner) giveUp(ctx context.Context, g *goal, s rhumb.Step, cause error) error {
	if g.open.Phase.Ended() {
		return cause
	}
	f := rhumb.Failure{At: time.Now(), Service: s.Service, Slot: s.Slot, Release: s.Release, Reason: reason(s, cause), Hint: rhumb.ErrorHint(cause)}
	var hook *hookError
	if errors.As(cause, &hook) {
		f.Logs = card.Ending(hook.run.Logs)
	}
	if f.Service == "" || s.Kind == rhumb.StepPublish {
		f.Release = g.wanted.Release
	}
	if s.Slot > 0 {
		f.Replica = rhumb.ReplicaName(r.stack, s.Service, s.Release, s.Slot)
	}
	return r.fail(ctx, g, f)
}

// reason says in plain words why a step can't be done.
func reason(s rhumb.Step, cause error) string {
	var e *rhumb.Error
	if errors.As(cause, &e) {
		return e.Error()
	}
	return fmt.Sprintf("%s: %s", s.Kind, strings.TrimSpace(cause.Error()))
}

// tellStep tells an event about the replica of a step.
func (r *runner) tellStep(ctx context.Context, g *goal, s rhumb.Step, kind rhumb.EventKind, text string) {
	rep := rhumb.Replica{Stack: r.stack, Service: s.Service, Release: s.Release, Slot: s.Slot}
	r.c.events.Announce(ctx, g.event(rep, kind, text))
}

// sweep follows the removal of replicas: one that drained may go long after its deployment has ended, and its secrets go with it.
func (r *runner) sweep(ctx context.Context, work *sync.WaitGroup) {
	if r.swept || len(r.flying) > 0 {
		return
	}
	r.swept = true
	work.Go(func() { r.c.care.Sweep(ctx) })
}

func starting(s rhumb.Step) bool {
	switch s.Kind {
	case rhumb.StepStart, rhumb.StepRun, rhumb.StepNetwork, rhumb.StepVolume, rhumb.StepPublish:
		return true
	}
	return false
}

// hopeless tells whether trying again is vain.
func hopeless(err error) bool {
	switch rhumb.ErrorCode(err) {
	case rhumb.Invalid, rhumb.Unsupported, rhumb.Conflict, rhumb.NotFound, rhumb.Denied:
		return true
	}
	return false
}
