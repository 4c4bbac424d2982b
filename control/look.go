package control

import (
	"context"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/scene"
	"rhumb/rollout"
)

// sources are what the stack's scenes are read from.
func (c *Control) sources() scene.Sources {
	return scene.Sources{Store: c.Store, Release: c.ledger.Release, Replicas: c.Engine.Replicas, Router: c.desk.Status, Hooked: c.hooked}
}

// withHoldings are sources that list networks and volumes, too.
func (c *Control) withHoldings() scene.Sources {
	f := c.sources()
	f.Holdings = c.Engine.Holdings
	return f
}

// sources are those of the runner's turns.
func (r *runner) sources() scene.Sources {
	f := r.c.sources()
	f.Holdings = func(ctx context.Context, stack string) (rhumb.Holdings, error) {
		return r.held.look(ctx, stack, r.c.Engine.Holdings)
	}
	f.Hooked = func(ctx context.Context, _ string) (map[string]time.Time, error) { return r.completed(ctx) }
	return f
}

// memory is what the runner remembers of its stack.
func (r *runner) memory() scene.Memory {
	return scene.Memory{Ready: r.ready, Stopping: r.flying.stopping(), Lent: func(network string) bool { return r.c.loans.lent(r.stack, network) }}
}

// withEnsured adds the volumes that are there although they carry no label of the stack.
func (r *runner) withEnsured(g *scene.Scene) {
	o := &g.Observed
	for name := range r.ensured {
		if !slices.Contains(o.Volumes, name) && g.Wanted.Model != nil {
			o.Volumes = append(o.Volumes, name)
		}
	}
}

// tell says what a look has shown for the first time.
func (r *runner) tell(ctx context.Context, g *scene.Scene) {
	o := g.Observed
	for _, rep := range o.Replicas {
		if rep.Slot == 0 {
			continue
		}
		if _, ok := o.Ready[rep.ID]; ok && rep.Alive() {
			r.once(ctx, g, rep, rhumb.EventReady, "ready after "+o.Ready[rep.ID].Sub(rep.Started).Round(10*time.Millisecond).String())
		}
		s, _ := g.Definition(rep)
		if cut := (telling{rep.ID, rhumb.EventWarning}); o.Severed[rep.ID] && !r.told[cut] {
			r.told[cut] = true
			r.c.events.Tell(ctx, g.Event(rep, rhumb.EventWarning, "was disconnected by hand from a network of its stack"))
		}
		if _, _, hook := rhumb.HookOf(rep.Service); s != nil && rollout.Completed(s, rep) && !hook { // of hooks noteJobs tells
			r.once(ctx, g, rep, rhumb.EventCompleted, "")
		}
	}
	for t := range r.told { // forget what is gone
		if _, ok := g.Replica(t.id); !ok {
			delete(r.told, t)
		}
	}
}

// telling is one thing that is told of a replica once.
type telling struct {
	id   string
	kind rhumb.EventKind
}

// once tells an event about a replica unless it was told. After a restart of the daemon, replicas that were ready
// long ago are told of again only while a deployment goes on.
func (r *runner) once(ctx context.Context, g *scene.Scene, rep rhumb.Replica, kind rhumb.EventKind, text string) {
	key := telling{rep.ID, kind}
	if r.told[key] {
		return
	}
	r.told[key] = true
	if g.Open == nil && rep.Started.Before(r.c.started) {
		return
	}
	r.c.events.Tell(ctx, g.Event(rep, kind, text))
}
