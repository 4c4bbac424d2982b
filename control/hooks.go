package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/internal/pause"
	"rhumb/rollout"
)

// hooking is what a runner knows of its stack's hooks.
type hooking struct {
	mu    sync.Mutex
	read  bool                 // done was read from the store
	done  map[string]time.Time // by replica ID: when its post_start hooks had completed
	under map[*context.CancelCauseFunc]bool
}

// doneKey is the stack's setting that keeps which replicas' post_start hooks have completed: a daemon that comes back must not take a replica
// for ready whose hooks were cut off.
const doneKey = "post_start"

// completed gives the replicas whose post_start hooks have completed.
func (r *runner) completed(ctx context.Context) (map[string]time.Time, error) {
	h := &r.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.read {
		text, err := r.c.Store.Setting(ctx, r.stack, doneKey)
		if err != nil {
			return nil, err
		}
		h.done = map[string]time.Time{}
		if text != "" && json.Unmarshal([]byte(text), &h.done) != nil {
			r.log.Warn("which post_start hooks have completed can't be read; they run again")
		}
		h.read = true
	}
	return maps.Clone(h.done), nil
}

// complete writes down that a replica's post_start hooks have completed, and forgets replicas that are gone. Which are is asked now: the look
// with which the hooks began may be older than a replica that was quicker.
func (r *runner) complete(ctx context.Context, id string) error {
	h := &r.hooks
	asked := time.Now()
	list, lookErr := r.c.Engine.Replicas(ctx, r.stack)
	h.mu.Lock()
	defer h.mu.Unlock()
	done := map[string]time.Time{id: time.Now()}
	for old, at := range h.done {
		here := slices.ContainsFunc(list, func(rep rhumb.Replica) bool { return rep.ID == old })
		if old != id && (here || lookErr != nil || at.After(asked)) {
			done[old] = at
		}
	}
	b, err := json.Marshal(done)
	if err == nil {
		err = r.c.Store.SetSetting(ctx, r.stack, doneKey, string(b))
	}
	if err == nil {
		h.done = done
	}
	return err
}

// postStarts tells of the replicas that have post_start hooks when they had completed; zero: not yet. One that is led to, or
// was, has them behind it.
func (r *runner) postStarts(ctx context.Context, o *rollout.Observed) error {
	for _, rep := range o.Replicas {
		if !rep.PostStart || rep.Slot == 0 || !rep.Alive() {
			continue
		}
		done, err := r.completed(ctx)
		if err != nil {
			return err
		}
		if o.PostStart == nil {
			o.PostStart = map[string]time.Time{}
		}
		at := done[rep.ID]
		if _, routed := o.Routes[rep.ID]; routed && at.IsZero() {
			at = rep.Started
		}
		o.PostStart[rep.ID] = at
		if at.IsZero() {
			delete(o.Ready, rep.ID)
		}
	}
	return nil
}

// abandonable gives a context for something that a deployment waits for: it ends when that goes another way, or by end. done must be called.
func (h *hooking) abandonable(ctx context.Context) (_ context.Context, done func(), end func(error)) {
	ctx, cancel := context.WithCancelCause(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.under == nil {
		h.under = map[*context.CancelCauseFunc]bool{}
	}
	h.under[&cancel] = true
	return ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.under, &cancel)
		cancel(nil)
	}, cancel
}

// abandoned tells whether nobody waits for it any more.
func abandoned(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), card.ErrTooLong)
}

// abandon ends what a deployment waited for.
func (h *hooking) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for cancel := range h.under {
		(*cancel)(context.Canceled)
	}
}

// greet runs a replica's post_start hooks, one after the other, unless they have ended since the look that asks for them.
func (r *runner) greet(ctx context.Context, g *goal, rep rhumb.Replica, s *rhumb.Service) {
	if done, err := r.completed(ctx); err != nil || !done[rep.ID].IsZero() || r.ready.RecordedIDs()[rep.ID] {
		return
	}
	for i, h := range s.PostStart {
		run, err := r.runInside(ctx, rep, hookRun(rep, rhumb.HookPostStart, i+1), h)
		if ctx.Err() != nil || r.fell(ctx, rep, err) {
			return
		}
		r.noteHook(ctx, g, run)
		if run.Failed != "" {
			f := rhumb.Failure{At: run.At, Service: rep.Service, Slot: rep.Slot, Release: rep.Release, Replica: rep.Name(), ID: rep.ID,
				Reason: fmt.Sprintf("hook %q %s", run.Title(), run.Failed), Logs: card.Ending(run.Logs),
				Hint: card.HookHint(r.stack, rep.Release, rep.Service, h.Command)}
			if err := r.fail(ctx, g, f); err != nil {
				r.log.Error("failure of a hook not written down; it runs again", "replica", rep.Name(), "err", err)
				pause.For(ctx, time.Second)
			}
			return
		}
	}
	if err := r.complete(ctx, rep.ID); err != nil {
		r.log.Error("hooks run again: not written down that they have completed", "replica", rep.Name(), "err", err)
		pause.For(ctx, time.Second)
	}
}

// fell tells whether a hook's failure says nothing of the hook: the replica fell meanwhile, or the engine can't be reached.
func (r *runner) fell(ctx context.Context, rep rhumb.Replica, err error) bool {
	if rhumb.ErrorCode(err) == rhumb.Unavailable {
		pause.For(ctx, time.Second)
		return true
	}
	list, lookErr := r.c.Engine.Replicas(ctx, r.stack)
	if lookErr != nil {
		return true
	}
	return !slices.ContainsFunc(list, func(now rhumb.Replica) bool { return now.ID == rep.ID && now.State == rhumb.StateRunning })
}

// bid runs a replica's pre_stop hooks. One that fails is told, and holds nothing up; those after it aren't run.
func (r *runner) bid(ctx context.Context, g *goal, o rollout.Observed, id string) error {
	rep, ok := g.replica(id)
	if !ok || rep.State != rhumb.StateRunning || rep.Slot == 0 {
		return nil
	}
	if at, has := o.PostStart[id]; has && at.IsZero() {
		return nil // it never got as far as to serve
	}
	s, _ := g.definition(rep)
	if s == nil {
		return nil
	}
	for i, h := range s.PreStop {
		run, err := r.runInside(ctx, rep, hookRun(rep, rhumb.HookPreStop, i+1), h)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rhumb.ErrorCode(err) == rhumb.Unavailable {
			return err
		}
		if run.Failed != "" && r.fell(ctx, rep, err) {
			return nil
		}
		r.noteHook(ctx, g, run)
		if run.Failed != "" {
			return nil
		}
	}
	return nil
}

func hookRun(rep rhumb.Replica, kind rhumb.HookKind, n int) rhumb.HookRun {
	return rhumb.HookRun{Kind: kind, Number: n, Service: rep.Service, Release: rep.Release, Slot: rep.Slot}
}

// runInside runs a hook in a replica and tells how it went. What an earlier daemon has begun of it is ended first. The error is
// the engine's, if it could not be run at all.
func (r *runner) runInside(ctx context.Context, rep rhumb.Replica, run rhumb.HookRun, h rhumb.Hook) (rhumb.HookRun, error) {
	limited, cancel := context.WithTimeoutCause(ctx, h.Timeout, card.ErrTooLong)
	defer cancel()
	var out card.Tail
	began := time.Now()
	code, err := r.c.Engine.Exec(limited, rep.ID, rhumb.ExecOptions{Command: h.Command, Env: assignments(h.Env), User: h.User, WorkingDir: h.WorkingDir,
		Privileged: h.Privileged, Once: fmt.Sprintf("%s.%d", run.Kind, run.Number), Streams: rhumb.Streams{Out: &out, Err: &out}})
	card.Finish(&run, &out, began, card.Failed(limited, h.Timeout, code, err))
	return run, err
}

// assignments gives "K=V", sorted.
func assignments(env map[string]string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// noteHook tells how a hook went, and keeps it with the open deployment.
func (r *runner) noteHook(ctx context.Context, g *goal, run rhumb.HookRun) {
	text := fmt.Sprintf("hook %q completed after %s", run.Title(), run.Took)
	if run.Failed != "" {
		text = fmt.Sprintf("hook %q failed: %s", run.Title(), run.Failed)
	}
	e := rhumb.Event{Kind: rhumb.EventHook, Stack: r.stack, Service: run.Service, Slot: run.Slot, Release: run.Release, Text: text, Hook: &run}
	if run.Slot > 0 {
		e.Replica = rhumb.ReplicaName(r.stack, run.Service, run.Release, run.Slot)
	}
	if g.open != nil {
		e.Deployment = g.open.ID
		_, err := r.c.update(ctx, r.stack, g.open.ID, func(d *rhumb.Deployment) error {
			card.KeepHook(d, run)
			return nil
		})
		if err != nil {
			r.log.Error("hook not written down", "hook", run.Title(), "err", err)
		}
	}
	r.c.events.Announce(ctx, e)
}

// jobRun tells how a hook that is a job went; ok is false for other replicas.
func (r *runner) jobRun(ctx context.Context, rep rhumb.Replica, failed string) (run rhumb.HookRun, ok bool) {
	service, n, ok := rhumb.HookOf(rep.Service)
	if !ok {
		return run, false
	}
	run = rhumb.HookRun{At: rep.Finished, Kind: rhumb.HookPreStart, Number: n, Service: service, Release: rep.Release, Failed: failed}
	if !rep.Started.IsZero() && rep.Finished.After(rep.Started) {
		run.Took = rep.Finished.Sub(rep.Started).Round(time.Millisecond)
	}
	run.Logs = r.lastLines(ctx, rep.ID, card.HookLines)
	return run, true
}
