package control

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/directory"
	"rhumb/control/ready"
	"rhumb/internal/failpoint"
	"rhumb/rollout"
)

// runner brings one stack to what is wanted, and holds it there. Its turns follow one another; the steps they begin
// run beside them.
type runner struct {
	c     *Control
	stack string
	log   *slog.Logger
	wake  chan struct{}
	nudge chan struct{}
	begin sync.Mutex // held while a deployment is opened

	ready  *ready.Readiness
	hooks  hooking
	flying map[rhumb.Step]bool // steps under way; only the turn touches it
	swept  bool                // no replica was removed since the last sweep
	landed chan result         // steps that ended
	again  map[rhumb.Step]retry
	told   map[telling]bool

	book   *directory.Book
	naming *directory.Announced

	ensured map[string]bool // volumes that are there, but carry nobody's label
	held    holdings
	loans   loans
	watched time.Time // since when looks have succeeded

	counted  rhumb.Tally // what the proxy had counted when it was last told of
	lostTold time.Time
}

// result is how a step ended.
type result struct {
	step rhumb.Step
	err  error
}

// retry is when a step that failed is tried again.
type retry struct {
	tries int
	at    time.Time
}

// maxTries is how often a step of a deployment is tried before it counts as a failure.
const maxTries = 5

func newRunner(c *Control, stack string) *runner {
	return &runner{
		c: c, stack: stack, log: c.Log.With("stack", stack),
		wake:   make(chan struct{}, 1),
		nudge:  make(chan struct{}, 1),
		ready:  ready.New(),
		flying: map[rhumb.Step]bool{},
		landed: make(chan result),
		again:  map[rhumb.Step]retry{},
		told:   map[telling]bool{},

		book: directory.NewBook(c.Store, stack), naming: directory.NewAnnounced(),

		ensured: map[string]bool{},
		watched: time.Now(), swept: true,
	}
}

// Wake makes the runner look again soon. It never blocks.
func (r *runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// gathering is how long after a nudge the runner waits for more of them: the engine tells several things of one start.
const gathering = 20 * time.Millisecond

// Nudge makes the runner look again in a moment. It never blocks.
func (r *runner) Nudge() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Run takes turns until ctx ends, and waits for the steps and probes that it began.
func (r *runner) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer r.drainLanded(&work)
	defer r.ready.Stop()
	work.Go(func() { r.endOneOffs(ctx) })
	failed := 0
	for {
		next, err := r.turn(ctx, &work)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			failed++
			if failed == 1 {
				r.log.Error("can't look after the stack; trying again", "err", err)
			}
			next = time.Now().Add(min(2*time.Second, 100*time.Millisecond<<min(failed, 5)))
		} else if failed > 0 {
			failed, r.watched = 0, time.Now()
			r.log.Info("looking after the stack again")
		}
		r.await(ctx, next)
	}
}

// drainLanded waits for the steps under way; they end soon, for their context has.
func (r *runner) drainLanded(work *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	for {
		select {
		case <-r.landed:
		case <-done:
			return
		}
	}
}

// await returns when something happened, at next, or after lookEvery.
func (r *runner) await(ctx context.Context, next time.Time) {
	d := lookEvery
	if !next.IsZero() {
		d = min(d, time.Until(next))
	}
	t := time.NewTimer(max(d, time.Millisecond))
	defer t.Stop()
	for nudge := r.nudge; ; {
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-r.wake:
		case res := <-r.landed:
			r.land(res)
		case <-nudge:
			nudge = nil
			t.Reset(min(gathering, max(d, time.Millisecond)))
			continue
		}
		return
	}
}

// landAll notes how the steps ended that wait to say so.
func (r *runner) landAll() {
	for {
		select {
		case res := <-r.landed:
			r.land(res)
		default:
			return
		}
	}
}

// land notes how a step ended.
func (r *runner) land(res result) {
	delete(r.flying, res.step)
	switch res.step.Kind {
	case rhumb.StepNetwork, rhumb.StepVolume, rhumb.StepRemoveNetwork, rhumb.StepRemoveVolume, rhumb.StepStart:
		r.held.forget()
	case rhumb.StepRemove:
		r.swept = false
	}
	if res.err == nil {
		delete(r.again, res.step)
		if res.step.Kind == rhumb.StepVolume {
			r.ensured[res.step.Name] = true
		}
		return
	}
	if res.step.Kind == rhumb.StepStart {
		clear(r.ensured) // it may be for a volume that isn't there any more
	}
	a := r.again[res.step]
	a.tries++
	a.at = time.Now().Add(min(time.Minute, 200*time.Millisecond<<min(a.tries, 9)))
	r.again[res.step] = a
	r.log.Warn("step failed", "step", res.step.String(), "tries", a.tries, "err", res.err)
}

// turn looks, decides and acts once. It returns when to look again at the latest.
func (r *runner) turn(ctx context.Context, work *sync.WaitGroup) (time.Time, error) {
	r.landAll() // what has ended by now must not count as under way after the look
	r.sweep(ctx, work)
	g, err := r.goal(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if g.open == nil && g.wanted.Release == 0 {
		return time.Time{}, nil // nothing is wanted, and nobody said that anything must go
	}
	o, seen, err := r.see(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	g.observe(r, &o, now)
	r.withoutRemoved(&o, &seen)
	o.Severed = r.severed(g, seen.held.Bridges)
	led, stop, err := r.leading(ctx, g, o, seen, now)
	if stop || err != nil {
		return led, err
	}
	r.tellNames(ctx, work, g, seen.router.Table, now)
	r.tell(ctx, g, o)
	r.tellUnserved(ctx, g, seen.router, now)
	r.certify(ctx, g)
	d := rollout.Next(g.wanted, o, now)
	switch {
	case g.paused:
		d.Steps = slices.DeleteFunc(d.Steps, func(s rhumb.Step) bool { return !heals(s, o) })
	case g.cancelled(): // what is begun now would only put off the way back
		d.Steps = slices.DeleteFunc(d.Steps, func(s rhumb.Step) bool { return s.Kind != rhumb.StepUnroute || !heals(s, o) })
	}
	if moved, err := r.settle(ctx, work, g, seen.router, d, now); moved || err != nil {
		return now, err
	}
	r.probe(ctx, g, o) // it and the steps have g from here on: nothing of it changes any more
	next := r.launch(ctx, work, g, o, d.Steps, now)
	return earliest(next, led, d.Wake, r.pollDrain(o, now)), nil
}

// pollDrain is when to ask the proxy again for connections that are still open: it doesn't tell by itself.
func (r *runner) pollDrain(o rollout.Observed, now time.Time) time.Time {
	var next time.Time
	for _, rt := range o.Routes {
		if rt.Draining {
			next = earliest(next, now.Add(min(500*time.Millisecond, max(10*time.Millisecond, now.Sub(rt.Since)/8))))
		}
	}
	return next
}

// heals tells whether a step only replaces what died, or takes it out of the routing.
func heals(s rhumb.Step, o rollout.Observed) bool {
	switch s.Kind {
	case rhumb.StepRecord:
		return true
	case rhumb.StepStart:
		return s.Replica != ""
	case rhumb.StepRoute:
		_, routed := o.Routes[s.Replica]
		return !routed
	case rhumb.StepUnroute:
		return !slices.ContainsFunc(o.Replicas, func(rep rhumb.Replica) bool { return rep.ID == s.Replica && rep.Alive() })
	}
	return false
}

// launch begins the steps that aren't under way, and returns when to look again for those that must wait.
func (r *runner) launch(ctx context.Context, work *sync.WaitGroup, g *goal, o rollout.Observed, steps []rhumb.Step, now time.Time) time.Time {
	var next time.Time
	for _, s := range steps {
		if r.flying[s] || r.blocked(s) {
			continue
		}
		if a, ok := r.again[s]; ok && now.Before(a.at) {
			next = earliest(next, a.at)
			continue
		}
		r.flying[s] = true
		tries := r.again[s].tries
		work.Go(func() {
			failpoint.Here("before", string(s.Kind), s.Service)
			err := r.perform(ctx, g, o, s)
			failpoint.Here("after", string(s.Kind), s.Service)
			if err != nil && g.open != nil && starting(s) && (tries+1 >= maxTries || hopeless(err)) {
				err = r.giveUp(ctx, g, s, err)
			}
			if err != nil && tries == 0 && ctx.Err() == nil && !errors.Is(err, context.Canceled) && rhumb.ErrorCode(err) != rhumb.Cancelled {
				r.tellStep(ctx, g, s, rhumb.EventWarning, reason(s, err)+"; trying again")
			}
			r.landed <- result{s, err}
		})
	}
	return next
}

// blocked reports whether a step must wait for another one: its opposite, or a start in the same slot. Two decisions of
// different modes must not both fill a slot.
func (r *runner) blocked(s rhumb.Step) bool {
	if s.Slot == 0 {
		return r.opposed(s)
	}
	for f := range r.flying {
		if f.Service == s.Service && f.Slot == s.Slot && (starting(f) || f.Replica == s.Replica) {
			return true
		}
	}
	return false
}
