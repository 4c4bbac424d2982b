package run

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/act"
	"rhumb/control/scene"
	"rhumb/internal/failpoint"
	"rhumb/rollout"
)

// turn looks, decides and launches steps once. It returns when to look again at the latest.
func (r *runner) turn(ctx context.Context, work *sync.WaitGroup) (time.Time, error) {
	r.landAll() // a step that has ended by now must not count as under way after the look
	r.prune(ctx, work)
	s, now, err := r.look(ctx)
	if err != nil || s == nil {
		return time.Time{}, err
	}
	led, stop, err := r.segments(ctx, s, now)
	if stop || err != nil {
		return led, err
	}
	r.names(ctx, work, s, now)
	r.announce.look(ctx, s)
	r.announce.unserved(ctx, s, now)
	if err := r.act.Certify(ctx, s); err != nil && ctx.Err() == nil { // it must not keep replicas from being healed
		r.log.Warn("certificates not handed to the proxy", "err", err)
	}
	d := decide(s, now)
	if moved, err := r.settle(ctx, work, s, d, now); moved || err != nil {
		return now, err
	}
	r.probe(ctx, s) // from here on probes and steps read the scene
	next := r.launch(ctx, work, s, d.Steps, now)
	return earliest(next, led, d.Wake, pollDrain(s.Observed, now)), nil
}

// look reads the scene; nil: nothing is wanted of the stack.
func (r *runner) look(ctx context.Context) (*scene.Scene, time.Time, error) {
	s, err := r.Sources.Wanted(ctx, r.stack)
	if err != nil {
		return nil, time.Time{}, err
	}
	if r.idle = s.Idle() && r.flying.none(); s.Idle() {
		return nil, time.Time{}, nil
	}
	if err := r.Sources.Look(ctx, s); err != nil {
		return nil, time.Time{}, err
	}
	r.ready.Update(s.Observed)
	now := time.Now()
	s.Learn(r.memory(), now)
	for name := range r.ensured {
		if !slices.Contains(s.Observed.Volumes, name) && s.Wanted.Model != nil {
			s.Observed.Volumes = append(s.Observed.Volumes, name)
		}
	}
	r.flying.withoutRemoved(s)
	s.Observed.Watched = r.watched
	s.Observed.Severed = s.Severed(r.announce.severed)
	return s, now, nil
}

// decide returns what to do now. A paused stack is only healed. Of a deployment that is cancelled nothing more is
// launched, because it would only delay the rollback.
func decide(s *scene.Scene, now time.Time) rollout.Decision {
	d := rollout.Next(s.Wanted, s.Observed, now)
	switch {
	case s.Paused:
		d.Steps = slices.DeleteFunc(d.Steps, func(step rhumb.Step) bool { return !heals(step, s.Observed) })
	case s.Cancelled():
		d.Steps = slices.DeleteFunc(d.Steps, func(step rhumb.Step) bool {
			return step.Kind != rhumb.StepUnroute || !heals(step, s.Observed)
		})
	}
	return d
}

// pollDrain returns when to ask the proxy again for connections that are still open: it sends no events about them.
func pollDrain(o rollout.Observed, now time.Time) time.Time {
	var next time.Time
	for _, rt := range o.Routes {
		if rt.Draining {
			next = earliest(next, now.Add(min(500*time.Millisecond, max(10*time.Millisecond, now.Sub(rt.Since)/8))))
		}
	}
	return next
}

// heals reports whether a step only replaces a dead replica, or takes it out of the routing table.
func heals(step rhumb.Step, o rollout.Observed) bool {
	switch step.Kind {
	case rhumb.StepRecord:
		return true
	case rhumb.StepStart:
		return step.Replica != ""
	case rhumb.StepRoute:
		_, routed := o.Routes[step.Replica]
		return !routed
	case rhumb.StepUnroute:
		return !slices.ContainsFunc(o.Replicas, func(rep rhumb.Replica) bool {
			return rep.ID == step.Replica && rep.Alive()
		})
	}
	return false
}

// launch begins the steps that aren't under way, and returns when to look again for those that must wait.
func (r *runner) launch(
	ctx context.Context, work *sync.WaitGroup, s *scene.Scene, steps []rhumb.Step, now time.Time,
) time.Time {
	var next time.Time
	for _, step := range steps {
		if r.flying.has(step) || r.flying.block(step) {
			continue
		}
		a := r.again.of(step)
		if now.Before(a.at) {
			next = earliest(next, a.at)
			continue
		}
		r.flying.add(step)
		work.Go(func() { r.landed <- result{step, r.perform(ctx, s, step, a.tries)} })
	}
	return next
}

// perform performs a step that has failed tries times so far. If it creates something and can't be done, the open
// deployment learns of it.
func (r *runner) perform(ctx context.Context, s *scene.Scene, step rhumb.Step, tries int) error {
	failpoint.Here("before", string(step.Kind), step.Service)
	err := r.act.Do(ctx, s, step)
	failpoint.Here("after", string(step.Kind), step.Service)
	if err != nil && s.Open != nil && creates(step) && (tries+1 >= maxTries || hopeless(err)) {
		err = r.act.GiveUp(ctx, s, step, err)
	}
	cancelled := ctx.Err() != nil || errors.Is(err, context.Canceled) || rhumb.ErrorCode(err) == rhumb.Cancelled
	if err != nil && tries == 0 && !cancelled {
		r.announce.retry(ctx, s, step, err)
	}
	return err
}

// prune follows the removal of replicas. A replica that drained may be removed long after its deployment has ended, and
// its secrets are removed with it.
func (r *runner) prune(ctx context.Context, work *sync.WaitGroup) {
	if r.pruned || !r.flying.none() {
		return
	}
	r.pruned = true
	r.beside(work, func() { r.Care.Sweep(ctx) })
}

// segments brings the service addresses up to date. If stop is true the turn ends here: because the table has
// changed, or because a deployment can't go on without them. Otherwise the stack is looked after as well as it can be
// without them.
func (r *runner) segments(ctx context.Context, s *scene.Scene, now time.Time) (next time.Time, stop bool, err error) {
	key := rhumb.Step{Kind: rhumb.StepPublish, Stack: r.stack, Name: "service addresses"}
	a := r.again.of(key)
	if now.Before(a.at) {
		return a.at, awaitsSegments(s, a), nil
	}
	changed, err := r.act.Segments(ctx, s, now)
	if err == nil {
		r.again.done(key)
		if changed {
			next = now
		}
		return next, changed, nil
	}
	if ctx.Err() != nil {
		return time.Time{}, true, err
	}
	r.land(result{key, err})
	a = r.again.of(key)
	if a.tries == 1 {
		r.announce.retry(ctx, s, key, err)
	}
	if s.Open != nil && s.Wanted.Mode == rollout.Deploy && a.tries == maxTries {
		f := rhumb.Failure{At: now, Release: s.Wanted.Release, Reason: act.Reason(key, err), Hint: rhumb.ErrorHint(err)}
		return now, true, r.act.Fail(ctx, s, f)
	}
	return a.at, awaitsSegments(s, a), nil
}

// awaitsSegments reports whether a deployment waits for service addresses that could not be set up so far.
func awaitsSegments(s *scene.Scene, a retry) bool {
	return s.Open != nil && s.Wanted.Mode == rollout.Deploy && s.Wanted.Release != 0 && a.tries < maxTries
}

// names updates the hosts files of running replicas beside the turn. A replica whose start is under way has the names
// already, but that is not noted yet. While a step creates something, a replica may be missing from the look.
func (r *runner) names(ctx context.Context, work *sync.WaitGroup, s *scene.Scene, now time.Time) {
	d := s.Directory(s.Router.Table)
	want := map[string]map[string]string{}
	for _, rep := range s.Observed.Replicas {
		if svc, _ := s.Definition(rep); svc != nil && rep.Alive() && rep.Joined == "" && !r.flying.starts(rep) {
			want[rep.ID] = d.Names(&svc.Container)
		}
	}
	if !r.flying.making() {
		r.act.Names.Keep(want)
	}
	stale := r.act.Names.Stale(want, now)
	if len(stale) == 0 {
		return
	}
	r.beside(work, func() {
		failed := false
		for _, id := range stale {
			err := r.Engine.SetHosts(ctx, id, want[id])
			code := rhumb.ErrorCode(err)
			if err != nil && code != rhumb.NotFound && ctx.Err() == nil {
				r.log.Warn("hosts file not updated", "replica", id, "err", err)
			}
			if err == nil || code == rhumb.NotFound || code == rhumb.Unsupported { // trying again can't help
				r.act.Names.Record(id, want[id])
			} else if ctx.Err() == nil {
				failed = true
			}
		}
		r.act.Names.Done(failed)
	})
}
