package act

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/control/ready"
	"rhumb/control/scene"
	"rhumb/rollout"
)

// Recorder records failures, hooks and jobs of one stack in its open deployment, and announces them.
type Recorder struct {
	stack    string
	engine   Engine
	ledger   Ledger
	announce func(context.Context, rhumb.Event)
	ready    *ready.Readiness
	log      *slog.Logger
}

// maxFailures bounds a deployment's record. A service with many slots that all crash is explained well enough by these.
const maxFailures = 200

// Record records why a replica failed, while its container is still there to be asked.
func (r *Recorder) Record(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	rep, ok := s.Replica(step.Replica)
	if !ok {
		return nil
	}
	svc, _ := s.Definition(rep)
	f := r.failure(ctx, rep, svc, step.Why)
	if why := r.lacking(s, rep, svc); why != "" {
		f.Hint = why + "; " + f.Hint
	}
	if run, ok := r.jobRun(ctx, rep, f.Reason); ok {
		r.Hook(ctx, s, run)
		f.Hint = card.HookHint(r.stack, rep.Release, rep.Service, nil)
	}
	if err := r.Fail(ctx, s, f); err != nil {
		return err
	}
	if s.Open == nil && svc != nil && rep.Restarts > 0 {
		if at := rollout.RetryAt(svc, rep); at.After(f.At) {
			text := fmt.Sprintf("crashed %d times in a row; started again in %s",
				rep.Restarts+1, rhumb.Span(at.Sub(f.At)+time.Second/2))
			r.announce(ctx, s.Event(rep, rhumb.EventBackoff, text))
		}
	}
	return nil
}

// failure returns the card of a replica that failed.
func (r *Recorder) failure(ctx context.Context, rep rhumb.Replica, svc *rhumb.Service, why string) rhumb.Failure {
	f := rhumb.Failure{
		At: time.Now(), Service: rep.Service, Slot: rep.Slot, Release: rep.Release, Replica: rep.Name(), ID: rep.ID,
		Reason: why, Ended: rep.State == rhumb.StateExited && rep.Error == "" && !rep.Started.IsZero(),
		ExitCode: rep.ExitCode, OOM: rep.OOM, Health: r.ready.Output(rep.ID),
		Logs: r.lastLines(ctx, rep.ID, card.Lines),
	}
	if svc == nil || svc.Ready.Kind != rhumb.ReadyHealth { // the output is a line of ours, not of the user's own check
		if f.Health != "" && rep.Alive() {
			f.Reason += ": " + f.Health
		}
		f.Health = ""
	}
	if f.Reason == "" {
		f.Reason = card.End(rep)
	}
	f.Hint = card.Hint(rep, svc)
	return f
}

// lacking names a service that a failed replica depends on and that may not have been ready when it failed, and says
// why; "": there is none. A dependency that the replica's start waited for was ready.
func (r *Recorder) lacking(s *scene.Scene, rep rhumb.Replica, svc *rhumb.Service) string {
	o := &s.Observed
	if svc == nil || o.Routes[rep.ID] != (rollout.Route{}) {
		return ""
	}
	for _, d := range svc.DependsOn {
		on := s.Wanted.Model.Service(d.Service)
		if on == nil || on.Job || d.Condition != rhumb.DependsStarted {
			continue
		}
		for _, other := range o.Replicas {
			_, ready := o.Ready[other.ID]
			if other.Service != d.Service || other.Slot == 0 || ready && on.Ready.Kind != rhumb.ReadyRunning {
				continue
			}
			return card.Lacking(svc.Name, on, r.ready.Output(other.ID))
		}
	}
	return ""
}

// Fail adds a failure to the open deployment, if the failure is of one of its two releases, and announces it. A failed
// replica is added once.
func (r *Recorder) Fail(ctx context.Context, s *scene.Scene, f rhumb.Failure) error {
	if s.Open != nil && (f.Release == s.Open.To || f.Release == s.Open.From) {
		_, err := r.ledger.Update(ctx, r.stack, s.Open.ID, func(d *rhumb.Deployment) error {
			for _, old := range d.Failures {
				if f.ID != "" && old.ID == f.ID {
					return nil
				}
			}
			if len(d.Failures) < maxFailures {
				d.Failures = append(d.Failures, f)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	rep := rhumb.Replica{Stack: r.stack, Service: f.Service, Slot: f.Slot, Release: f.Release}
	e := s.Event(rep, rhumb.EventFailed, f.Reason)
	e.Replica, e.Failure = f.Replica, &f
	r.announce(ctx, e)
	r.ready.Record(f.ID)
	return nil
}

// GiveUp records that a step can't be done, so that its deployment fails. In a deployment that has ended it returns
// cause.
func (r *Recorder) GiveUp(ctx context.Context, s *scene.Scene, step rhumb.Step, cause error) error {
	if s.Open.Phase.Ended() {
		return cause
	}
	f := rhumb.Failure{At: time.Now(), Service: step.Service, Slot: step.Slot, Release: step.Release,
		Reason: Reason(step, cause), Hint: rhumb.ErrorHint(cause)}
	var hook *hookError
	if errors.As(cause, &hook) {
		f.Logs = card.Ending(hook.run.Logs)
	}
	if f.Service == "" || step.Kind == rhumb.StepPublish {
		f.Release = s.Wanted.Release
	}
	if step.Slot > 0 {
		f.Replica = rhumb.ReplicaName(r.stack, step.Service, step.Release, step.Slot)
	}
	return r.Fail(ctx, s, f)
}

// Reason says in plain words why a step can't be done.
func Reason(step rhumb.Step, cause error) string {
	var e *rhumb.Error
	if errors.As(cause, &e) {
		return e.Error()
	}
	return fmt.Sprintf("%s: %s", step.Kind, strings.TrimSpace(cause.Error()))
}

// Hook adds a hook to the open deployment and announces how it went.
func (r *Recorder) Hook(ctx context.Context, s *scene.Scene, run rhumb.HookRun) {
	text := fmt.Sprintf("hook %q completed after %s", run.Title(), run.Took)
	if run.Failed != "" {
		text = fmt.Sprintf("hook %q failed: %s", run.Title(), run.Failed)
	}
	rep := rhumb.Replica{Stack: r.stack, Service: run.Service, Slot: run.Slot, Release: run.Release}
	e := s.Event(rep, rhumb.EventHook, text)
	e.Hook = &run
	if s.Open != nil {
		_, err := r.ledger.Update(ctx, r.stack, s.Open.ID, func(d *rhumb.Deployment) error {
			card.KeepHook(d, run)
			return nil
		})
		if err != nil {
			r.log.Error("hook not recorded", "hook", run.Title(), "err", err)
		}
	}
	r.announce(ctx, e)
}

// Jobs records which jobs have completed, before their containers can be removed. It returns the deployment as it is
// stored then; nil if no job has completed.
func (r *Recorder) Jobs(ctx context.Context, s *scene.Scene) (*rhumb.Deployment, error) {
	var fresh []string
	var events []rhumb.Event
	for _, rep := range s.Completed() {
		fresh = append(fresh, rep.Service)
		if run, ok := r.jobRun(ctx, rep, ""); ok {
			e := s.Event(rep, rhumb.EventCompleted, fmt.Sprintf("completed after %s", run.Took))
			e.Hook = &run
			events = append(events, e)
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	d, err := r.ledger.Update(ctx, r.stack, s.Open.ID, func(d *rhumb.Deployment) error {
		d.Jobs = append(d.Jobs, fresh...)
		for _, e := range events {
			card.KeepHook(d, *e.Hook)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("record completed jobs %s: %w", strings.Join(fresh, ", "), err)
	}
	for _, e := range events {
		r.announce(ctx, e)
	}
	return &d, nil
}

// jobRun returns the record of a hook that is a job; ok is false for other replicas.
func (r *Recorder) jobRun(ctx context.Context, rep rhumb.Replica, failed string) (run rhumb.HookRun, ok bool) {
	service, n, ok := rhumb.HookOf(rep.Service)
	if !ok {
		return run, false
	}
	run = rhumb.HookRun{At: rep.Finished, Kind: rhumb.HookPreStart, Number: n, Service: service,
		Release: rep.Release, Failed: failed}
	if !rep.Started.IsZero() && rep.Finished.After(rep.Started) {
		run.Took = rep.Finished.Sub(rep.Started).Round(time.Millisecond)
	}
	run.Logs = r.lastLines(ctx, rep.ID, card.HookLines)
	return run, true
}

// lastLines returns the end of a replica's output. If it can't be read, the failure is recorded without it.
func (r *Recorder) lastLines(ctx context.Context, id string, n int) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var lines []string
	for l, err := range r.engine.Logs(ctx, id, rhumb.LogOptions{Tail: n}) {
		if err != nil {
			r.log.Warn("last lines not read", "replica", id, "err", err)
			break
		}
		lines = append(lines, card.Line(l.Text))
	}
	return lines
}
