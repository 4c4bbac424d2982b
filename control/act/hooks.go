package act

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/control/hooks"
	"rhumb/control/oneoff"
	"rhumb/control/scene"
	"rhumb/internal/pause"
)

// hookError is the failure of a hook that runs before a step.
type hookError struct {
	err *rhumb.Error
	run rhumb.HookRun
}

func (e *hookError) Error() string { return e.err.Error() }
func (e *hookError) Unwrap() error { return e.err }

// preStart runs the hooks that precede each start of a service's replica, with the volumes of its slot.
func (p *Performer) preStart(ctx context.Context, s *scene.Scene, step rhumb.Step, svc *rhumb.Service) error {
	for _, h := range svc.PreStart {
		run := rhumb.HookRun{Kind: rhumb.HookPreStart, Number: h.Number, Service: svc.Name,
			Release: step.Release, Slot: step.Slot}
		spec := oneoff.ForHook(s, svc, h.Container, step.Slot)
		spec.Release, spec.VolumesOf = step.Release, svc.Name
		spec.OneOff = fmt.Sprintf("pre_start%d.%d.%d", h.Number, step.Release, step.Slot)
		run, err := p.beside(ctx, s, spec, run, h.Timeout)
		if err != nil {
			return err
		}
		p.Hook(ctx, s, run)
		if run.Failed != "" {
			hint := card.HookHint(p.stack, step.Release, rhumb.HookService(svc.Name, h.Number), nil)
			return &hookError{rhumb.Errorf(rhumb.Invalid, "hook %q %s", run.Title(), run.Failed).
				WithHint("%s", hint), run}
		}
	}
	return nil
}

// beside runs a hook in a container of its own, until the deployment goes another way.
func (p *Performer) beside(
	ctx context.Context, s *scene.Scene, spec rhumb.ReplicaSpec, run rhumb.HookRun, limit time.Duration,
) (rhumb.HookRun, error) {
	ctx, done := p.waits.context(ctx)
	defer done()
	return p.Oneoffs.Beside(ctx, s, spec, run, limit)
}

// PostStart runs a replica's post_start hooks, one after the other, unless they have ended since the look that asks for
// them. It records how they went before the replica can count as ready.
func (p *Performer) PostStart(ctx context.Context, s *scene.Scene, rep rhumb.Replica, svc *rhumb.Service) {
	if done, err := p.Done.Completed(ctx); err != nil || !done[rep.ID].IsZero() || p.ready.Recorded(rep.ID) {
		return
	}
	for i, h := range svc.PostStart {
		run, err := hooks.Inside(ctx, p.Engine, rep.ID, hooks.Of(rep, rhumb.HookPostStart, i+1), h)
		if ctx.Err() != nil || p.lost(ctx, rep, err) {
			return
		}
		p.Hook(ctx, s, run)
		if run.Failed != "" {
			f := rhumb.Failure{At: run.At, Service: rep.Service, Slot: rep.Slot, Release: rep.Release,
				Replica: rep.Name(), ID: rep.ID, Logs: card.Ending(run.Logs),
				Reason: fmt.Sprintf("hook %q %s", run.Title(), run.Failed),
				Hint:   card.HookHint(p.stack, rep.Release, rep.Service, h.Command)}
			if err := p.Fail(ctx, s, f); err != nil {
				p.log.Error("can't record a failed hook, running it again", "replica", rep.Name(), "err", err)
				pause.For(ctx, time.Second)
			}
			return
		}
	}
	if err := p.Done.Complete(ctx, rep.ID, p.Engine.Replicas); err != nil {
		p.log.Error("can't record completed hooks, running them again", "replica", rep.Name(), "err", err)
		pause.For(ctx, time.Second)
	}
}

// lost reports whether a hook's failure says nothing about the hook: the replica died meanwhile, or the engine can't be
// reached.
func (p *Performer) lost(ctx context.Context, rep rhumb.Replica, err error) bool {
	if rhumb.ErrorCode(err) == rhumb.Unavailable {
		pause.For(ctx, time.Second)
		return true
	}
	list, listErr := p.Engine.Replicas(ctx, p.stack)
	if listErr != nil {
		return true
	}
	return !slices.ContainsFunc(list, func(now rhumb.Replica) bool {
		return now.ID == rep.ID && now.State == rhumb.StateRunning
	})
}

// preStop runs a replica's pre_stop hooks. A hook that fails is recorded and delays nothing; those after it don't run.
func (p *Performer) preStop(ctx context.Context, s *scene.Scene, id string) error {
	rep, ok := s.Replica(id)
	if !ok || rep.State != rhumb.StateRunning || rep.Slot == 0 {
		return nil
	}
	if at, has := s.Observed.PostStart[id]; has && at.IsZero() {
		return nil // it never served
	}
	svc, _ := s.Definition(rep)
	if svc == nil {
		return nil
	}
	for i, h := range svc.PreStop {
		run, err := hooks.Inside(ctx, p.Engine, rep.ID, hooks.Of(rep, rhumb.HookPreStop, i+1), h)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rhumb.ErrorCode(err) == rhumb.Unavailable {
			return err
		}
		if run.Failed != "" && p.lost(ctx, rep, err) {
			return nil
		}
		p.Hook(ctx, s, run)
		if run.Failed != "" {
			return nil
		}
	}
	return nil
}
