package run

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/control/act"
	"rhumb/control/ledger"
	"rhumb/control/oneoff"
	"rhumb/control/ready"
	"rhumb/control/scene"
)

// Deps is what runners work with. All are required.
type Deps struct {
	Engine  Engine
	Act     act.Deps
	Ledger  *ledger.Ledger
	Oneoffs *oneoff.Room
	Care    Care
	Sources scene.Sources // without Hooked, which each runner has of its own
	Probes  chan struct{} // one place for each health check that may run at a time
	Started time.Time     // when the daemon started
	Log     *slog.Logger
	// Observe takes what the stack's wanted release asks of the process that observes, at each look. It must not block.
	Observe func(stack string, o rhumb.Observing)
}

// Engine probes replicas.
type Engine interface {
	Probe(ctx context.Context, id string, h rhumb.Healthcheck) error
}

// Care removes what nothing needs any more.
type Care interface {
	Sweep(ctx context.Context)
	Tidy(ctx context.Context, d rhumb.Deployment)
}

// LookEvery is how often a stack is looked at without any event about it: the engine's events can be lost.
const LookEvery = 10 * time.Second

// runner brings one stack to what is wanted, and holds it there. Its turns follow one another; the steps that they
// launch run beside them. Its maps belong to the turn.
type runner struct {
	Deps
	stack string
	log   *slog.Logger
	wake  chan struct{}
	nudge chan struct{}

	act      *act.Performer
	ready    *ready.Readiness
	announce *announcer
	held     holdings

	flying flights
	landed chan result // steps that ended
	again  retries

	busy    atomic.Int32    // work beside the turns that is no step
	idle    bool            // nothing is wanted and no step is under way
	pruned  bool            // no replica was removed since files were last pruned
	ensured map[string]bool // volumes that exist without the stack's label
	watched time.Time       // since when looks have succeeded
}

// result is how a step ended.
type result struct {
	step rhumb.Step
	err  error
}

func newRunner(d Deps, stack string) *runner {
	r := &runner{
		Deps: d, stack: stack, log: d.Log.With("stack", stack),
		wake:    make(chan struct{}, 1),
		nudge:   make(chan struct{}, 1),
		ready:   ready.New(),
		flying:  flights{steps: map[rhumb.Step]bool{}},
		landed:  make(chan result),
		again:   retries{},
		ensured: map[string]bool{},
		watched: time.Now(), pruned: true,
	}
	r.act = act.New(d.Act, stack, r.ready)
	r.announce = &announcer{stack: stack, since: d.Started, send: d.Act.Announce, done: map[announced]bool{}}
	list := d.Sources.Holdings
	r.Sources.Holdings = func(ctx context.Context, stack string) (rhumb.Holdings, error) {
		return r.held.look(ctx, stack, list)
	}
	r.Sources.Hooked = func(ctx context.Context, _ string) (map[string]time.Time, error) {
		return r.act.Done.Completed(ctx)
	}
	return r
}

// memory returns what the runner remembers of its stack. It may be called beside the turns.
func (r *runner) memory() scene.Memory {
	lent := func(network string) bool { return r.Oneoffs.Lent(r.stack, network) }
	return scene.Memory{Ready: r.ready, Stopping: r.flying.stopping(), Lent: lent}
}

// Wake makes the runner look again soon. It never blocks.
func (r *runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Nudge makes the runner look again in a moment. It never blocks.
func (r *runner) Nudge() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Run takes turns until ctx ends, or until nothing is wanted of the stack and retire reports that the runner must
// end. It waits for the steps and probes that it began.
func (r *runner) Run(ctx context.Context, retire func(*runner) bool) {
	var work sync.WaitGroup
	defer r.drain(&work)
	defer r.ready.Stop()
	r.beside(&work, func() { r.Oneoffs.EndOlder(ctx, r.stack) })
	failed := 0
	for {
		next, err := r.turn(ctx, &work)
		if ctx.Err() != nil || err == nil && r.idle && r.busy.Load() == 0 && retire(r) {
			return
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

// beside does something beside the turns. Then the runner looks again, because it may be idle now.
func (r *runner) beside(work *sync.WaitGroup, do func()) {
	r.busy.Add(1)
	work.Go(func() {
		do()
		r.busy.Add(-1)
		r.Nudge()
	})
}

// drain waits for the steps under way. They end soon, because their context has ended.
func (r *runner) drain(work *sync.WaitGroup) {
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

// gathering is how long the runner waits for more nudges after one: the engine sends several events about one start.
const gathering = 20 * time.Millisecond

// await returns when something happened, at next, or after LookEvery.
func (r *runner) await(ctx context.Context, next time.Time) {
	d := LookEvery
	if !next.IsZero() {
		d = min(d, time.Until(next))
	}
	t := time.NewTimer(max(d, time.Millisecond))
	defer t.Stop()
	for nudge := r.nudge; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case <-r.wake:
			return
		case res := <-r.landed:
			r.land(res)
			if res.step.Kind != rhumb.StepNames { // nothing waits for names
				return
			}
		case <-nudge:
		}
		if nudge != nil {
			nudge = nil
			t.Reset(min(gathering, max(d, time.Millisecond)))
		}
	}
}

// landAll lands the steps that have ended by now.
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
	r.flying.remove(res.step)
	switch res.step.Kind {
	case rhumb.StepNetwork, rhumb.StepVolume, rhumb.StepRemoveNetwork, rhumb.StepRemoveVolume, rhumb.StepStart:
		r.held.forget()
	case rhumb.StepRemove:
		r.pruned = false
	}
	if res.err == nil {
		r.again.done(res.step)
		if res.step.Kind == rhumb.StepVolume {
			r.ensured[res.step.Name] = true
		}
		return
	}
	if res.step.Kind == rhumb.StepStart {
		clear(r.ensured) // the start may have failed because a volume is gone
	}
	a := r.again.failed(res.step, time.Now())
	r.log.Warn("step failed", "step", res.step.String(), "tries", a.tries, "err", res.err)
}
