package control

import (
	"context"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/control/scene"
	"rhumb/rollout"
)

// lead makes the table's segments follow the engine's networks, the releases and the replicas, and takes out what
// leads to replicas that are gone. It tells whether it has changed anything: then what was seen is old.
func (r *runner) lead(ctx context.Context, g *scene.Scene, now time.Time) (changed bool, err error) {
	var want []rhumb.Segment
	if g.Router.NoSegments == "" {
		if want, err = r.book.Segments(ctx, g.Held.Bridges, g.Wanted.Model, g.Wanted.Previous, g.Observed.Replicas); err != nil {
			return false, err
		}
	}
	edit := func(t *rhumb.Table) { routing.Relead(t, r.stack, want, g.Observed.Replicas, g.Arriving(now)) }
	if !routing.Changes(g.Router.Table, edit) {
		return false, nil
	}
	return true, r.c.desk.Edit(ctx, edit)
}

// leadKey stands for the segments among the steps that are tried again.
func (r *runner) leadKey() rhumb.Step {
	return rhumb.Step{Kind: rhumb.StepPublish, Stack: r.stack, Name: "service addresses"}
}

// leading has the segments made as they shall be. It tells when the turn must end for now: at once to look again, or later
// because a deployment can't go on without them. Otherwise the stack is looked after as well as it can be.
func (r *runner) leading(ctx context.Context, g *scene.Scene, now time.Time) (next time.Time, stop bool, err error) {
	key := r.leadKey()
	a := r.again[key]
	if now.Before(a.at) {
		return a.at, r.awaitsSegments(g, a), nil
	}
	changed, err := r.lead(ctx, g, now)
	if err == nil {
		delete(r.again, key)
		if changed {
			next = now
		}
		return next, changed, nil
	}
	if ctx.Err() != nil {
		return time.Time{}, true, err
	}
	r.land(result{key, err})
	a = r.again[key]
	if a.tries == 1 {
		r.tellStep(ctx, g, key, rhumb.EventWarning, reason(key, err)+"; trying again")
	}
	if g.Open != nil && g.Wanted.Mode == rollout.Deploy && a.tries == maxTries {
		err := r.fail(ctx, g, rhumb.Failure{At: now, Release: g.Wanted.Release, Reason: reason(key, err), Hint: rhumb.ErrorHint(err)})
		return now, true, err
	}
	return a.at, r.awaitsSegments(g, a), nil
}

// awaitsSegments tells whether a deployment waits for segments that could not be made so far.
func (r *runner) awaitsSegments(g *scene.Scene, a retry) bool {
	return g.Open != nil && g.Wanted.Mode == rollout.Deploy && g.Wanted.Release != 0 && a.tries < maxTries
}
