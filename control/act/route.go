package act

import (
	"context"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/control/scene"
)

// reroute changes the routing table and returns once the proxy serves it.
func (p *Performer) reroute(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	var edit func(*rhumb.Table)
	var refused error
	switch step.Kind {
	case rhumb.StepPublish:
		svc := s.Wanted.Model.Service(step.Service)
		if svc == nil {
			return nil
		}
		edit = func(t *rhumb.Table) { refused = routing.Publish(t, p.stack, svc, step.Name) }
	case rhumb.StepUnpublish:
		edit = func(t *rhumb.Table) { routing.Unpublish(t, p.stack, step.Name) }
	case rhumb.StepRoute:
		rep, ok := s.Replica(step.Replica)
		if !ok {
			return nil
		}
		route, err := p.route(s, rep)
		if err != nil {
			return err
		}
		edit = func(t *rhumb.Table) { refused = route(t) }
	case rhumb.StepDrain, rhumb.StepUnroute:
		if err := p.awaitQuiet(ctx, s, step); err != nil {
			return err
		}
		edit = func(t *rhumb.Table) { p.withdraw(t, s, step, time.Now()) }
	}
	if err := p.Desk.Edit(ctx, edit); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	if step.Kind == rhumb.StepDrain {
		p.Announce(ctx, s.StepEvent(step, rhumb.EventDraining, step.Why))
	}
	return nil
}

// route returns the edit that has a replica get new connections. The edit fails if the replica can't be reached at all.
func (p *Performer) route(s *scene.Scene, rep rhumb.Replica) (func(*rhumb.Table) error, error) {
	svc, wanted := s.Definition(rep)
	if svc == nil {
		return nil, rhumb.Errorf(rhumb.Internal,
			"%s: neither the wanted nor the previous release has its spec", rep.Name())
	}
	at, err := s.Address(rep)
	if err != nil {
		return nil, err
	}
	return func(t *rhumb.Table) error {
		routing.Route(t, p.stack, svc, rep, at)
		if wanted {
			routing.PublishAll(t, p.stack, svc)
		}
		if !routing.RouteInside(t, p.stack, rep) && !svc.Served() {
			return rhumb.Errorf(rhumb.Unavailable,
				"%s can't be reached: it shares no network with the proxy", rep.Name())
		}
		return nil
	}, nil
}

// withdraw drains or unroutes a replica. If a planned step leaves its service without a replica, callers wait for the
// next one.
func (p *Performer) withdraw(t *rhumb.Table, s *scene.Scene, step rhumb.Step, now time.Time) {
	planned := step.Kind == rhumb.StepDrain
	if planned {
		routing.Drain(t, p.stack, step.Replica, now)
	} else {
		planned = routing.Draining(t, p.stack, step.Replica)
		routing.Unroute(t, step.Replica)
	}
	if wait := s.Wait(step.Service); planned && wait > 0 {
		routing.Expect(t, p.stack, step.Service, now.Add(wait))
	}
}

// Configure has the proxy serve the stack's backends and routes with the settings of the wanted release, unless it
// does. The files that the routes name are stored before the table that names them is sent.
func (p *Performer) Configure(ctx context.Context, s *scene.Scene) error {
	if err := p.files.keep(ctx, s.Wanted.Model, s.Router.Table); err != nil {
		return err
	}
	edit := func(t *rhumb.Table) { routing.Configure(t, p.stack, s.Wanted.Model, s.Open != nil) }
	if !routing.Changes(s.Router.Table, edit) {
		return nil
	}
	return p.Desk.Edit(ctx, edit)
}
