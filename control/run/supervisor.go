// Package run holds stacks: a runner per stack looks, lets rollout decide, launches the steps and lands them.
package run

import (
	"context"
	"sync"

	"rhumb"
	"rhumb/control/ready"
	"rhumb/control/scene"
)

// Supervisor has one runner for each stack that needs one. Its Run owns their goroutines: nothing else starts a runner,
// and Run returns after the last one. A runner whose stack is down ends.
type Supervisor struct {
	deps Deps

	mu      sync.Mutex
	runners map[string]*runner
	fresh   []*runner     // not started yet
	asked   chan struct{} // there are fresh ones
}

// New returns a Supervisor without runners.
func New(d Deps) *Supervisor {
	return &Supervisor{deps: d, runners: map[string]*runner{}, asked: make(chan struct{}, 1)}
}

// Run runs the runners that For asks for until ctx ends, and waits for them.
func (v *Supervisor) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		for _, r := range v.takeFresh() {
			running.Go(func() {
				r.Run(ctx, v.retire)
				v.remove(r)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-v.asked:
		}
	}
}

func (v *Supervisor) takeFresh() []*runner {
	v.mu.Lock()
	defer v.mu.Unlock()
	fresh := v.fresh
	v.fresh = nil
	return fresh
}

// For has a stack's runner look again soon. A stack that has no runner gets one, which starts when Run runs. It never
// blocks.
func (v *Supervisor) For(stack string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.runners[stack]; r != nil {
		r.Wake()
		return
	}
	r := newRunner(v.deps, stack)
	v.runners[stack] = r
	v.fresh = append(v.fresh, r)
	select {
	case v.asked <- struct{}{}:
	default:
	}
}

// Wake has a stack's runner look again soon, if the stack has one. It never blocks.
func (v *Supervisor) Wake(stack string) {
	if r := v.of(stack); r != nil {
		r.Wake()
	}
}

// Stacks returns the stacks that have a runner, in no order.
func (v *Supervisor) Stacks() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var names []string
	for name := range v.runners {
		names = append(names, name)
	}
	return names
}

func (v *Supervisor) of(stack string) *runner {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.runners[stack]
}

// retire removes an idle runner and reports whether it must end. A runner that was woken since it looked goes on.
func (v *Supervisor) retire(r *runner) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(r.wake) > 0 {
		return false
	}
	delete(v.runners, r.stack)
	return true
}

// remove forgets a runner that has ended. By then the stack may have another one.
func (v *Supervisor) remove(r *runner) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.runners[r.stack] == r {
		delete(v.runners, r.stack)
	}
}

// Changed has the runners look that a change is about; all of them if it names no stack. A change that isn't about a
// replica may be about a network or a volume.
func (v *Supervisor) Changed(ch rhumb.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for stack, r := range v.runners {
		if ch.Stack != "" && ch.Stack != stack {
			continue
		}
		if ch.Replica == "" {
			r.held.forget()
		}
		r.Nudge()
	}
}

// Forget drops what is cached of a stack that the store has forgotten.
func (v *Supervisor) Forget(stack string) {
	if r := v.of(stack); r != nil {
		r.act.Forget()
	}
}

// Memory returns what is remembered of a stack. Without a runner, nothing is.
func (v *Supervisor) Memory(stack string) scene.Memory {
	if r := v.of(stack); r != nil {
		return r.memory()
	}
	return scene.Memory{Ready: ready.New(), Lent: func(string) bool { return false }}
}
