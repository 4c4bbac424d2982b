package control

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

// probe begins to probe the replicas that run and aren't ready yet.
func (r *runner) probe(ctx context.Context, g *scene.Scene) {
	o := &g.Observed
	for _, rep := range o.Replicas {
		if _, is := o.Ready[rep.ID]; is || rep.State != rhumb.StateRunning || rep.Slot == 0 {
			continue
		}
		s, wanted := g.Definition(rep)
		if s == nil {
			continue
		}
		if at, has := o.PostStart[rep.ID]; has && at.IsZero() {
			leaves := !wanted && g.Wanted.Mode == rollout.Restore // it won't serve any more
			if !o.Recorded[rep.ID] && !o.Stopping[rep.ID] && !leaves {
				r.ready.StartOnce(ctx, rep.ID, func(ctx context.Context) { r.greet(ctx, g, rep, s) }, r.Wake)
			}
			continue
		}
		if p, pace := r.prober(g, rep, s); p != nil {
			r.ready.Start(ctx, rep, p, pace, s.Ready.Window, r.Wake)
		}
	}
}

// prober returns the way in which a service's replica is asked, and how long to wait before the next time given how
// long it has run; nil if it isn't asked.
func (r *runner) prober(g *scene.Scene, rep rhumb.Replica, s *rhumb.Service) (ready.Prober, ready.Pace) {
	switch s.Ready.Kind {
	case rhumb.ReadyTCP, rhumb.ReadyExposed, rhumb.ReadyHTTP, rhumb.ReadyAnswer:
		at, err := g.Address(rep)
		if err != nil {
			return nil, nil
		}
		switch s.Ready.Kind {
		case rhumb.ReadyHTTP:
			return func(ctx context.Context) error {
				return ready.Ask(ctx, netip.AddrPortFrom(at, s.Ready.Port), s.Ready.Path)
			}, ready.Quick
		case rhumb.ReadyAnswer:
			peers := g.Peers(rep, s.Ready.Port)
			return func(ctx context.Context) error {
				return ready.Answer(ctx, netip.AddrPortFrom(at, s.Ready.Port), s.Ready.Host, s.Ready.Path, peers)
			}, ready.Quick
		}
		return (&knock{engine: r.c.Engine, rep: rep, at: at, ready: s.Ready}).try, ready.Quick
	case rhumb.ReadyHealth:
		check := release.WithDefaults(*s.Container.Health)
		grow := func(_, last time.Duration) time.Duration {
			return min(max(last*3/2, 100*time.Millisecond), check.Interval)
		}
		return func(ctx context.Context) error {
			select {
			case r.c.probes <- struct{}{}:
				defer func() { <-r.c.probes }()
			case <-ctx.Done():
				return ctx.Err()
			}
			return r.c.Engine.Probe(ctx, rep.ID, check)
		}, grow
	}
	return nil, nil
}
