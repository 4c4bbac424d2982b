package run

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"rhumb"
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
	r.announce.look(ctx, s)
	r.announce.unserved(ctx, s, now)
	r.announce.limits(ctx, s)
	if s.Wanted.Model != nil {
		r.Observe(r.stack, s.Wanted.Model.Observing())
	}
	if err := r.act.Certify(ctx, s); err != nil && ctx.Err() == nil { // it must not keep replicas from being healed
		r.log.Warn("certificates not handed to the proxy", "err", err)
	}
	if err := r.act.Configure(ctx, s); err != nil && ctx.Err() == nil { // likewise
		r.log.Warn("settings of backends not handed to the proxy", "err", err)
	}
	d := decide(s, now)
	if moved, err := r.settle(ctx, work, s, d, now); moved || err != nil {
		return now, err
	}
	r.probe(ctx, s) // from here on probes and steps read the scene
	next := r.launch(ctx, work, s, d.Steps, now)
	return earliest(next, d.Wake, pollDrain(s.Observed, now)), nil
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
	r.compare(ctx, s, now)
	return s, now, nil
}

// compare adds to the scene which service addresses and names are out of date, and drops the retries of those that are
// current. While a step creates something, a replica may be missing from the look. No record of names is dropped then.
func (r *runner) compare(ctx context.Context, s *scene.Scene, now time.Time) {
	o, in := &s.Observed, r.act.Inside
	want := in.Hosts(s, r.flying.starts)
	if !r.flying.making() {
		in.Names.Keep(want)
	}
	o.StaleAddresses, o.StaleNames = in.Stale(ctx, s, now), in.Names.Stale(want)
	maps.DeleteFunc(r.again, func(step rhumb.Step, _ retry) bool {
		return step.Kind == rhumb.StepAddress && !o.StaleAddresses ||
			step.Kind == rhumb.StepNames && !o.StaleNames[step.Replica]
	})
	o.AddressesFailed = r.again.of(rhumb.Step{Kind: rhumb.StepAddress, Stack: r.stack}).tries > 0
}

// decide returns what to do now. A paused stack is only healed. Of a deployment that is cancelled nothing more is
// launched, because it would only delay the rollback. Service addresses and names are kept up to date in both.
func decide(s *scene.Scene, now time.Time) rollout.Decision {
	d := rollout.Next(s.Wanted, s.Observed, now)
	switch {
	case s.Paused:
		d.Steps = slices.DeleteFunc(d.Steps, func(step rhumb.Step) bool { return !heals(step, s.Observed) })
	case s.Cancelled():
		d.Steps = slices.DeleteFunc(d.Steps, func(step rhumb.Step) bool {
			return !informs(step) && (step.Kind != rhumb.StepUnroute || !heals(step, s.Observed))
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

// informs reports whether a step only updates service addresses or names.
func informs(step rhumb.Step) bool {
	return step.Kind == rhumb.StepAddress || step.Kind == rhumb.StepNames
}

// heals reports whether a step only replaces a dead replica, takes it out of the routing table, or updates service
// addresses or names.
func heals(step rhumb.Step, o rollout.Observed) bool {
	switch step.Kind {
	case rhumb.StepRecord, rhumb.StepAddress, rhumb.StepNames:
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

// perform performs a step that has failed tries times so far. If the open deployment needs it and it can't be done, the
// deployment learns of it.
func (r *runner) perform(ctx context.Context, s *scene.Scene, step rhumb.Step, tries int) error {
	failpoint.Here("before", string(step.Kind), step.Service)
	err := r.act.Do(ctx, s, step)
	failpoint.Here("after", string(step.Kind), step.Service)
	if err != nil && givesUp(s, step, tries+1, err) {
		err = r.act.GiveUp(ctx, s, step, err)
	}
	cancelled := ctx.Err() != nil || errors.Is(err, context.Canceled) || rhumb.ErrorCode(err) == rhumb.Cancelled
	if err != nil && tries == 0 && !cancelled && step.Kind != rhumb.StepNames { // there is one for each replica
		r.announce.retry(ctx, s, step, err)
	}
	return err
}

// givesUp reports whether a step that has now failed tries times fails the open deployment. Only a deployment waits for
// service addresses; a stack that is put back does without them.
func givesUp(s *scene.Scene, step rhumb.Step, tries int, err error) bool {
	switch {
	case s.Open == nil:
		return false
	case step.Kind == rhumb.StepAddress:
		return s.Wanted.Mode == rollout.Deploy && tries >= maxTries
	}
	return creates(step) && (tries >= maxTries || hopeless(err))
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
