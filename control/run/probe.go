package run

import (
	"context"
	"net/netip"
	"time"

	"rhumb"
	"rhumb/control/ready"
	"rhumb/control/release"
	"rhumb/control/scene"
	"rhumb/rollout"
)

// probe begins to probe the replicas that run and aren't ready yet. Before that it runs their post_start hooks.
func (r *runner) probe(ctx context.Context, s *scene.Scene) {
	o := &s.Observed
	for _, rep := range o.Replicas {
		if _, is := o.Ready[rep.ID]; is || rep.State != rhumb.StateRunning || rep.Slot == 0 {
			continue
		}
		svc, wanted := s.Definition(rep)
		if svc == nil {
			continue
		}
		if at, has := o.PostStart[rep.ID]; has && at.IsZero() {
			leaves := !wanted && s.Wanted.Mode == rollout.Restore // it won't serve any more
			if !o.Recorded[rep.ID] && !o.Stopping[rep.ID] && !leaves {
				r.ready.StartOnce(ctx, rep.ID, func(ctx context.Context) { r.act.PostStart(ctx, s, rep, svc) }, r.Wake)
			}
			continue
		}
		if p, pace := r.prober(s, rep, svc); p != nil {
			r.ready.Start(ctx, rep, p, pace, svc.Ready.Window, r.Wake)
		}
	}
}

// prober returns how a replica is probed, and at which pace; nil if it isn't probed.
func (d Deps) prober(s *scene.Scene, rep rhumb.Replica, svc *rhumb.Service) (ready.Prober, ready.Pace) {
	check := svc.Ready
	switch check.Kind {
	case rhumb.ReadyTCP, rhumb.ReadyExposed, rhumb.ReadyHTTP, rhumb.ReadyAnswer:
	case rhumb.ReadyHealth:
		return d.healthProber(rep, release.WithDefaults(*svc.Container.Health))
	default:
		return nil, nil
	}
	addr, err := s.Address(rep)
	if err != nil {
		return nil, nil
	}
	at := netip.AddrPortFrom(addr, check.Port)
	switch check.Kind {
	case rhumb.ReadyHTTP:
		return func(ctx context.Context) error { return ready.Ask(ctx, at, check.Path) }, ready.Quick
	case rhumb.ReadyAnswer:
		peers := s.Peers(rep, check.Port)
		return func(ctx context.Context) error {
			return ready.Answer(ctx, at, check.Host, check.Path, peers)
		}, ready.Quick
	}
	return (&knock{engine: d.Engine, rep: rep, at: addr, ready: check}).try, ready.Quick
}

// healthProber returns a prober that runs a health check in the replica, at most as often as its interval says.
func (d Deps) healthProber(rep rhumb.Replica, check rhumb.Healthcheck) (ready.Prober, ready.Pace) {
	pace := func(_, last time.Duration) time.Duration {
		return min(max(last*3/2, 100*time.Millisecond), check.Interval)
	}
	return func(ctx context.Context) error {
		select {
		case d.Probes <- struct{}{}:
			defer func() { <-d.Probes }()
		case <-ctx.Done():
			return ctx.Err()
		}
		return d.Engine.Probe(ctx, rep.ID, check)
	}, pace
}
