// Package act performs steps: each becomes calls of the engine, the proxy's desk and the ledger. It decides nothing,
// tries nothing again and starts no goroutines. Performing a step twice does no harm.
package act

import (
	"context"
	"iter"
	"log/slog"

	"rhumb"
	"rhumb/control/directory"
	"rhumb/control/hooks"
	"rhumb/control/oneoff"
	"rhumb/control/ready"
	"rhumb/control/routing"
	"rhumb/control/scene"
)

// Engine starts and stops replicas, writes their hosts files, and makes and removes what they need.
type Engine interface {
	Replicas
	Holdings
	hooks.Execer
	SetHosts(ctx context.Context, id string, hosts map[string]string) error
	Logs(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error]
}

// Replicas starts and stops replicas.
type Replicas interface {
	Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error)
	Start(ctx context.Context, spec rhumb.ReplicaSpec) (rhumb.Replica, error)
	Stop(ctx context.Context, id string) error
	Remove(ctx context.Context, id string) error
}

// Holdings makes and removes networks and volumes.
type Holdings interface {
	EnsureNetwork(ctx context.Context, stack string, n rhumb.Network) error
	EnsureVolume(ctx context.Context, stack string, v rhumb.Volume) error
	RemoveNetwork(ctx context.Context, stack, name string) error
	RemoveVolume(ctx context.Context, stack, name string) error
}

// Desk changes the routing table.
type Desk interface {
	Edit(ctx context.Context, edit func(*rhumb.Table)) error
	Status(ctx context.Context) (rhumb.RouterStatus, error)
	Wishes(stack string, m *rhumb.Stack) []rhumb.Certificate
	Has(stack string, wishes []rhumb.Certificate) bool
	Certify(ctx context.Context, stack string, wishes []rhumb.Certificate) error
}

// Ledger records what happens in a deployment.
type Ledger interface {
	Update(ctx context.Context, stack string, id int64, change func(*rhumb.Deployment) error) (rhumb.Deployment, error)
}

// Deps is what the performers of all stacks share. All but KeepPair and KeepFile are required.
type Deps struct {
	Engine   Engine
	Desk     Desk
	Ledger   Ledger
	Store    hooks.Store
	Oneoffs  *oneoff.Room
	Sources  scene.Sources
	Announce func(ctx context.Context, e rhumb.Event)
	Starts   chan struct{} // one place for each replica that may be starting at a time
	// KeepPair stores a given certificate where the proxy finds it; nil: there are none.
	KeepPair func(ctx context.Context, hash string, pair []byte) error
	// KeepFile stores a file of routes where the proxy finds it; nil: there are none.
	KeepFile func(ctx context.Context, hash string, content []byte) error
	Log      *slog.Logger
}

// Performer performs the steps of one stack.
type Performer struct {
	*Recorder
	Deps
	Done   *hooks.Done // the replicas whose post_start hooks have completed
	Inside *Inside
	stack  string
	waits  waits
	files  routeFiles
}

// New returns the performer of a stack. ready learns which failures are recorded.
func New(d Deps, stack string, ready *ready.Readiness) *Performer {
	d.Log = d.Log.With("stack", stack)
	return &Performer{
		Recorder: &Recorder{stack: stack, engine: d.Engine, ledger: d.Ledger, announce: d.Announce, ready: ready,
			log: d.Log},
		Deps: d, Done: hooks.NewDone(d.Store, d.Log, stack), stack: stack,
		files: routeFiles{store: d.KeepFile},
		Inside: &Inside{
			Inside: scene.Inside{Book: directory.NewBook(d.Store, stack), Names: directory.NewAnnounced()},
			engine: d.Engine, desk: d.Desk, places: make(chan struct{}, maxHosts), log: d.Log,
		},
	}
}

// Do performs a step of a scene.
func (p *Performer) Do(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	switch step.Kind {
	case rhumb.StepNetwork:
		return p.ensureNetwork(ctx, s, step.Name)
	case rhumb.StepVolume:
		return p.ensureVolume(ctx, s, step.Name)
	case rhumb.StepPublish, rhumb.StepUnpublish, rhumb.StepRoute, rhumb.StepDrain, rhumb.StepUnroute:
		return p.reroute(ctx, s, step)
	case rhumb.StepStart, rhumb.StepRun:
		return p.start(ctx, s, step)
	case rhumb.StepRecord:
		return p.Record(ctx, s, step)
	case rhumb.StepCheck:
		return p.check(ctx, s, step)
	case rhumb.StepStop:
		return p.stop(ctx, s, step)
	case rhumb.StepRemove:
		return p.Engine.Remove(ctx, step.Replica)
	case rhumb.StepRemoveNetwork:
		if err := p.Desk.Edit(ctx, func(t *rhumb.Table) { routing.DropSegment(t, p.stack, step.Name) }); err != nil {
			return err
		}
		return p.Engine.RemoveNetwork(ctx, p.stack, step.Name)
	case rhumb.StepRemoveVolume:
		return p.Engine.RemoveVolume(ctx, p.stack, step.Name)
	case rhumb.StepAddress:
		return p.Inside.address(ctx, s)
	case rhumb.StepNames:
		return p.Inside.name(ctx, s, step)
	}
	return rhumb.Errorf(rhumb.Internal, "unknown step %q", step.Kind)
}

// ensureNetwork makes a network of the wanted release; one that the release doesn't have is left alone.
func (p *Performer) ensureNetwork(ctx context.Context, s *scene.Scene, name string) error {
	for _, n := range s.Wanted.Model.Networks {
		if n.Name == name {
			return p.Engine.EnsureNetwork(ctx, p.stack, n)
		}
	}
	return nil
}

// ensureVolume makes a volume of the wanted release; one that the release doesn't have is left alone.
func (p *Performer) ensureVolume(ctx context.Context, s *scene.Scene, name string) error {
	for _, v := range s.Wanted.Model.Volumes {
		if v.Name == name {
			return p.Engine.EnsureVolume(ctx, p.stack, v)
		}
	}
	return nil
}

// start starts the replica of a slot. It removes the dead replica that the new one replaces first.
func (p *Performer) start(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	svc := s.Wanted.Model.Service(step.Service)
	if svc == nil {
		return rhumb.Errorf(rhumb.Internal, "%s isn't in the wanted release", step.Service)
	}
	if err := p.preStart(ctx, s, step, svc); err != nil {
		return err
	}
	select {
	case p.Starts <- struct{}{}:
		defer func() { <-p.Starts }()
	case <-ctx.Done():
		return ctx.Err()
	}
	p.Announce(ctx, s.StepEvent(step, rhumb.EventStarting, step.Why))
	if step.Replica != "" {
		if err := p.Engine.Remove(ctx, step.Replica); err != nil {
			return err
		}
	}
	spec := scene.Spec(s.Wanted.Model, svc)
	spec.Release, spec.Slot, spec.Restarts = step.Release, step.Slot, step.Restarts
	spec.PostStart = len(svc.PostStart) > 0
	spec.VolumesOf, _, _ = rhumb.HookOf(svc.Name)
	spec.Joined, spec.Beside = s.Joined(svc, step.Slot), s.Beside(svc)
	var err error
	if spec.Hosts, err = p.Sources.Names(ctx, s, &spec.Container); err != nil {
		return err
	}
	rep, err := p.Engine.Start(ctx, spec)
	if err != nil {
		return err
	}
	p.Inside.Names.Record(rep.ID, spec.Hosts)
	for _, w := range rep.Warnings {
		if step.Slot == 1 { // the other slots get the same warnings
			p.Announce(ctx, s.StepEvent(step, rhumb.EventWarning, "the engine warns: "+w))
		}
	}
	if rep.Error == "" {
		p.Announce(ctx, s.StepEvent(step, rhumb.EventStarted, ""))
	}
	return nil
}

// stop runs a replica's pre_stop hooks and stops it.
func (p *Performer) stop(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	if err := p.preStop(ctx, s, step.Replica); err != nil {
		return err
	}
	if err := p.Engine.Stop(ctx, step.Replica); err != nil {
		return err
	}
	p.Announce(ctx, s.StepEvent(step, rhumb.EventStopped, ""))
	return nil
}
