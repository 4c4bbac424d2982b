package control

import (
	"context"
	"fmt"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/rollout"
)

// record writes down why a replica failed, while its container can still be asked.
func (r *runner) record(ctx context.Context, g *goal, o rollout.Observed, s rhumb.Step) error {
	rep, ok := g.replica(s.Replica)
	if !ok {
		return nil
	}
	svc, _ := g.definition(rep)
	f := rhumb.Failure{
		At: time.Now(), Service: rep.Service, Slot: rep.Slot, Release: rep.Release, Replica: rep.Name(), ID: rep.ID,
		Reason: s.Why, Ended: rep.State == rhumb.StateExited && rep.Error == "" && !rep.Started.IsZero(), ExitCode: rep.ExitCode, OOM: rep.OOM, Health: r.ready.Said(rep.ID), Logs: r.lastLines(ctx, rep.ID, card.Lines),
	}
	if svc == nil || svc.Ready.Kind != rhumb.ReadyHealth { // then it is a line of ours, where a health check's output is the user's own
		if f.Health != "" && rep.Alive() {
			f.Reason += ": " + f.Health
		}
		f.Health = ""
	}
	if f.Reason == "" {
		f.Reason = card.End(rep)
	}
	f.Hint = card.Hint(rep, svc)
	if why := g.lacking(r, o, rep, svc); why != "" {
		f.Hint = why + "; " + f.Hint
	}
	if run, ok := r.jobRun(ctx, rep, f.Reason); ok {
		r.noteHook(ctx, g, run)
		f.Hint = card.HookHint(r.stack, rep.Release, rep.Service, nil)
	}
	if err := r.fail(ctx, g, f); err != nil {
		return err
	}
	if g.open == nil && svc != nil && rep.Restarts > 0 {
		if at := rollout.RetryAt(svc, rep); at.After(f.At) {
			text := fmt.Sprintf("crashed %d times in a row; started again in %s", rep.Restarts+1, rhumb.Span(at.Sub(f.At)+time.Second/2))
			r.c.events.Announce(ctx, g.event(rep, rhumb.EventBackoff, text))
		}
	}
	return nil
}

// lacking says which of the services that a failed replica depends on may not have been ready when it failed, and why; "":
// none. What a dependency waits for anyway was ready.
func (g *goal) lacking(r *runner, o rollout.Observed, rep rhumb.Replica, svc *rhumb.Service) string {
	if svc == nil || o.Routes[rep.ID] != (rollout.Route{}) {
		return ""
	}
	for _, d := range svc.DependsOn {
		on := g.wanted.Model.Service(d.Service)
		if on == nil || on.Job || d.Condition != rhumb.DependsStarted {
			continue
		}
		for _, other := range o.Replicas {
			_, ready := o.Ready[other.ID]
			if other.Service != d.Service || other.Slot == 0 || ready && on.Ready.Kind != rhumb.ReadyRunning {
				continue
			}
			return card.Lacking(svc.Name, on, r.ready.Said(other.ID))
		}
	}
	return ""
}

// fail puts a failure into the open deployment, if it is about that, and tells it.
func (r *runner) fail(ctx context.Context, g *goal, f rhumb.Failure) error {
	if g.open != nil && (f.Release == g.open.To || f.Release == g.open.From) {
		_, err := r.c.update(ctx, r.stack, g.open.ID, func(d *rhumb.Deployment) error {
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
	e := rhumb.Event{Kind: rhumb.EventFailed, Stack: r.stack, Service: f.Service, Replica: f.Replica, Slot: f.Slot, Release: f.Release, Text: f.Reason, Failure: &f}
	if g.open != nil {
		e.Deployment = g.open.ID
	}
	r.c.events.Announce(ctx, e)
	r.ready.Recorded(f.ID)
	return nil
}

// noteRemains writes down what a deployment that moves to a phase leaves as it is: volumes where nothing else is left,
// and mounted paths that no release holds where an older release is to serve again.
func (g *goal) noteRemains(d *rhumb.Deployment, to rhumb.Phase) {
	back := to == rhumb.PhaseRolledBack || to == rhumb.PhaseStuck || to == rhumb.PhaseConverged && d.Cause == rhumb.CauseRollback
	switch {
	case g.wanted.Model == nil && to != rhumb.PhaseStuck:
		d.Kept = g.volumes
	case g.wanted.Model != nil && back:
		d.Loose = g.wanted.Model.Unversioned
	}
}

// maxFailures bounds a deployment's record: a service of many slots that all crash tells enough with these.
const maxFailures = 200

// lastLines reads the end of what a replica wrote. That it can't be read is no reason not to record the failure.
func (r *runner) lastLines(ctx context.Context, id string, n int) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var lines []string
	for l, err := range r.c.Engine.Logs(ctx, id, rhumb.LogOptions{Tail: n}) {
		if err != nil {
			r.log.Warn("last lines not read", "replica", id, "err", err)
			break
		}
		lines = append(lines, card.Line(l.Text))
	}
	return lines
}
