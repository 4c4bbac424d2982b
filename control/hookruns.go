package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/control/ready"
	"rhumb/internal/pause"
	"rhumb/rollout"
)

// hookError is the failure of a hook that stood before a step.
type hookError struct {
	err *rhumb.Error
	run rhumb.HookRun
}

func (e *hookError) Error() string { return e.err.Error() }
func (e *hookError) Unwrap() error { return e.err }

// preStart runs the hooks that stand before each start of a service's replica, with the volumes of its slot.
func (r *runner) preStart(ctx context.Context, g *goal, o rollout.Observed, s rhumb.Step, svc *rhumb.Service) error {
	for _, h := range svc.PreStart {
		run := rhumb.HookRun{Kind: rhumb.HookPreStart, Number: h.Number, Service: svc.Name, Release: s.Release, Slot: s.Slot}
		spec := r.besideSpec(g, o, svc, h.Container, s.Slot)
		spec.Release, spec.VolumesOf, spec.OneOff = s.Release, svc.Name, fmt.Sprintf("pre_start%d.%d.%d", h.Number, s.Release, s.Slot)
		run, err := r.runBeside(ctx, g, spec, run, h.Timeout)
		if err != nil {
			return err
		}
		r.noteHook(ctx, g, run)
		if run.Failed != "" {
			hint := card.HookHint(r.stack, s.Release, rhumb.HookService(svc.Name, h.Number), nil)
			return &hookError{rhumb.Errorf(rhumb.Invalid, "hook %q %s", run.Title(), run.Failed).WithHint("%s", hint), run}
		}
	}
	return nil
}

// besideSpec gives what the engine needs for a container beside a service's replicas.
func (r *runner) besideSpec(g *goal, o rollout.Observed, svc *rhumb.Service, k rhumb.Container, slot int) rhumb.ReplicaSpec {
	beside := *svc
	beside.Container = k
	spec := replicaSpec(g.wanted.Model, &beside)
	spec.Slot, spec.Joined = slot, g.joined(&beside, slot, o)
	return spec
}

// runBeside runs a hook in a container of its own, and tells how it went. What an earlier daemon has left of it is ended first. An error
// says that it isn't known how it goes: the engine is away, or nobody waits for it any more.
func (r *runner) runBeside(ctx context.Context, g *goal, spec rhumb.ReplicaSpec, run rhumb.HookRun, limit time.Duration) (rhumb.HookRun, error) {
	limited, done, end := r.hooks.abandonable(ctx)
	defer done()
	for _, rep := range g.replicas {
		if rep.OneOff == spec.OneOff && rep.Service == spec.Service {
			if err := r.c.endOneOff(limited, rep); err != nil {
				return run, err
			}
		}
	}
	names, err := r.names(limited, g, &spec.Container)
	if err != nil {
		return run, err
	}
	spec.Hosts = names
	var out card.Tail
	began := time.Now()
	var late *time.Timer // counts from when it runs: an engine that is slow isn't the hook's fault
	code, err := r.c.Engine.Run(limited, spec, rhumb.Streams{Out: &out, Err: &out, Begun: func() {
		began, late = time.Now(), time.AfterFunc(limit, func() { end(card.ErrTooLong) })
	}})
	if late != nil {
		late.Stop()
	}
	if err != nil && (abandoned(limited) || rhumb.ErrorCode(err) == rhumb.Unavailable) {
		return run, err
	}
	card.Finish(&run, &out, began, card.Failed(limited, limit, code, err))
	return run, nil
}

// endOneOff stops and removes a one-off that nobody waits for any more.
func (c *Control) endOneOff(ctx context.Context, rep rhumb.Replica) error {
	if err := c.Engine.Stop(ctx, rep.ID); err != nil {
		return err
	}
	return c.Engine.Remove(ctx, rep.ID)
}

// endOneOffs ends the one-offs that a daemon before this one has left: nobody is joined to them any more.
func (r *runner) endOneOffs(ctx context.Context) {
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
		list, err := r.c.Engine.Replicas(ctx, r.stack)
		for _, rep := range list {
			if rep.OneOff != "" && rep.Created.Before(r.c.started) {
				r.log.Info("one-off of an earlier daemon ended", "service", rep.Service, "oneoff", rep.OneOff)
				err = errors.Join(err, r.c.endOneOff(ctx, rep))
			}
		}
		if err == nil {
			return
		}
		pause.For(ctx, wait)
	}
}

// check finds out whether a service's check passes, and writes it down either way.
func (r *runner) check(ctx context.Context, g *goal, o rollout.Observed, s rhumb.Step) error {
	svc := g.wanted.Model.Service(s.Service)
	if svc == nil || svc.After == nil || g.open == nil {
		return nil
	}
	run := rhumb.HookRun{Kind: rhumb.HookAfter, Number: 1, Service: svc.Name, Release: s.Release}
	run, err := r.ask(ctx, g, svc, run)
	if err == nil && run.Failed == "" && len(svc.After.Command) > 0 {
		k := svc.Container
		k.Command = svc.After.Command
		spec := r.besideSpec(g, o, svc, oneOff(k, rhumb.ExecOptions{}), 1)
		spec.Release, spec.OneOff = s.Release, fmt.Sprintf("after.%d", s.Release)
		run, err = r.runBeside(ctx, g, spec, run, svc.After.Timeout)
	}
	if err != nil {
		return err
	}
	r.noteHook(ctx, g, run)
	if run.Failed != "" {
		return r.fail(ctx, g, rhumb.Failure{At: run.At, Service: svc.Name, Release: s.Release, Reason: "the check after it is in place failed: " + run.Failed,
			Logs: card.Ending(run.Logs), Hint: card.HookHint(r.stack, s.Release, svc.Name, svc.After.Command)})
	}
	_, err = r.c.update(ctx, r.stack, g.open.ID, func(d *rhumb.Deployment) error {
		if d.Phase == rhumb.PhaseRolling && !slices.Contains(d.Checked, svc.Name) {
			d.Checked = append(d.Checked, svc.Name)
		}
		return nil
	})
	return err
}

// ask asks all replicas of a service over HTTP, again and again until each has answered or the time is up.
func (r *runner) ask(ctx context.Context, g *goal, svc *rhumb.Service, run rhumb.HookRun) (rhumb.HookRun, error) {
	limited, done, end := r.hooks.abandonable(ctx)
	defer done()
	defer time.AfterFunc(svc.After.Timeout, func() { end(card.ErrTooLong) }).Stop()
	began := time.Now()
	var out card.Tail
	for _, rep := range g.replicas {
		if svc.After.Path == "" || rep.Service != svc.Name || rep.Spec != g.wanted.Specs[svc.Name] || rep.Slot == 0 || !rep.Alive() {
			continue
		}
		at, err := g.address(rep)
		if err != nil {
			return run, err
		}
		addr := netip.AddrPortFrom(at, svc.After.Port)
		for err = ready.Ask(limited, addr, svc.After.Path); err != nil && limited.Err() == nil; err = ready.Ask(limited, addr, svc.After.Path) {
			pause.For(limited, ready.Latest)
			_, _ = fmt.Fprintf(&out, "%s: %v\n", rep.Name(), err) // memory
		}
		if abandoned(limited) {
			return run, limited.Err()
		}
		if err != nil {
			card.Finish(&run, &out, began, fmt.Sprintf("GET %s on port %d was not answered with 200 to 399 within %s", svc.After.Path, svc.After.Port, svc.After.Timeout))
			return run, nil
		}
	}
	card.Finish(&run, &out, began, "")
	return run, nil
}

// noteJobs writes down which jobs have completed, before anything can remove their containers.
func (r *runner) noteJobs(ctx context.Context, g *goal) error {
	var fresh []string
	var events []rhumb.Event
	for _, rep := range g.completed() {
		fresh = append(fresh, rep.Service)
		if run, ok := r.jobRun(ctx, rep, ""); ok {
			e := g.event(rep, rhumb.EventCompleted, fmt.Sprintf("completed after %s", run.Took))
			e.Hook = &run
			events = append(events, e)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	d, err := r.c.update(ctx, r.stack, g.open.ID, func(d *rhumb.Deployment) error {
		d.Jobs = append(d.Jobs, fresh...)
		for _, e := range events {
			card.KeepHook(d, *e.Hook)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note completed jobs %s: %w", strings.Join(fresh, ", "), err)
	}
	g.open = &d
	g.wanted.Jobs = d.Jobs
	for _, e := range events {
		r.c.events.Announce(ctx, e)
	}
	return nil
}
