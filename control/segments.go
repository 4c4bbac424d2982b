package control

import (
	"context"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/rollout"
)

// sight is what a look has shown before it is put into rollout's words.
type sight struct {
	held   rhumb.Holdings
	router rhumb.RouterStatus
}

// lead makes the table's segments follow the engine's networks, the releases and the replicas, and takes out what
// leads to replicas that are gone. It tells whether it has changed anything: then what was seen is old.
func (r *runner) lead(ctx context.Context, g *goal, o rollout.Observed, s sight, now time.Time) (changed bool, err error) {
	var want []rhumb.Segment
	if s.router.NoSegments == "" {
		if want, err = r.book.Segments(ctx, s.held.Bridges, g.wanted.Model, g.wanted.Previous, o.Replicas); err != nil {
			return false, err
		}
	}
	edit := func(t *rhumb.Table) { routing.RebuildSegments(t, r.stack, want, o.Replicas, g.arriving(now)) }
	if !routing.Changes(s.router.Table, edit) {
		return false, nil
	}
	return true, r.c.desk.Edit(ctx, edit)
}

// arriving gives, by service, until when callers wait for its first replica: a deployment is bringing it.
func (g *goal) arriving(now time.Time) map[string]time.Time {
	until := map[string]time.Time{}
	if g.open == nil || g.wanted.Model == nil {
		return until
	}
	for _, s := range g.wanted.Model.Services {
		if s.Replicas > 0 {
			until[s.Name] = now.Add(patience(&s))
		}
	}
	return until
}

// leadKey stands for the segments among the steps that are tried again.
func (r *runner) leadKey() rhumb.Step {
	return rhumb.Step{Kind: rhumb.StepPublish, Stack: r.stack, Name: "service addresses"}
}

// leading has the segments made as they shall be. It tells when the turn must end for now: at once to look again, or later
// because a deployment can't go on without them. Otherwise the stack is looked after as well as it can be.
func (r *runner) leading(ctx context.Context, g *goal, o rollout.Observed, s sight, now time.Time) (next time.Time, stop bool, err error) {
	key := r.leadKey()
	a := r.again[key]
	if now.Before(a.at) {
		return a.at, r.awaitsSegments(g, a), nil
	}
	changed, err := r.lead(ctx, g, o, s, now)
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
	if g.open != nil && g.wanted.Mode == rollout.Deploy && a.tries == maxTries {
		err := r.fail(ctx, g, rhumb.Failure{At: now, Release: g.wanted.Release, Reason: reason(key, err), Hint: rhumb.ErrorHint(err)})
		return now, true, err
	}
	return a.at, r.awaitsSegments(g, a), nil
}

// awaitsSegments tells whether a deployment waits for segments that could not be made so far.
func (r *runner) awaitsSegments(g *goal, a retry) bool {
	return g.open != nil && g.wanted.Mode == rollout.Deploy && g.wanted.Release != 0 && a.tries < maxTries
}

// patience is how long callers inside wait for a service after a step of a planned change; 0: nothing is on its way.
func (g *goal) patience(service string) time.Duration {
	s := g.wanted.Model.Service(service)
	if s == nil || s.Job || s.Replicas == 0 {
		return 0
	}
	return patience(s)
}

// patience is how long callers inside wait in a planned gap: as long as those outside do, and as long as a gap may take.
func patience(s *rhumb.Service) time.Duration { return max(s.HoldOrUsual(), s.Gap()) }
