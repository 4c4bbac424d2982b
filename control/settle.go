package control

import (
	"context"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/failpoint"
	"rhumb/rollout"
)

// settle moves the open deployment on to its next phase if the decision says so.
func (r *runner) settle(ctx context.Context, work *sync.WaitGroup, g *goal, st rhumb.RouterStatus, d rollout.Decision, now time.Time) (moved bool, err error) {
	if g.open == nil {
		return false, nil
	}
	if err := r.noteJobs(ctx, g); err != nil {
		return false, err
	}
	to, why := phaseAfter(g.open, d)
	if to == "" {
		return false, nil
	}
	if r.hooks.abandon(); r.making() {
		return false, nil
	}
	open := *g.open
	if to == rhumb.PhaseStuck || to == rhumb.PhaseIncomplete {
		open.Left = d.Left
	}
	if to.Ended() {
		open.Unserved = since(open.Before, st, r.stack)
	}
	g.noteRemains(&open, to)
	if err := open.Move(to, now, why); err != nil {
		return false, err
	}
	failpoint.Here("before it is", string(to))
	saved, err := r.c.Store.Save(ctx, open)
	if rhumb.ErrorCode(err) == rhumb.Conflict {
		return true, nil // it was cancelled meanwhile: look again
	}
	if err != nil {
		return false, err
	}
	failpoint.Here("after it is", string(to))
	clear(r.again)
	clear(r.ensured)
	r.tellPhase(ctx, work, saved)
	return true, nil
}

// tellPhase tells of a deployment's phase, and tidies up after one that has ended.
func (r *runner) tellPhase(ctx context.Context, work *sync.WaitGroup, saved rhumb.Deployment) {
	to := saved.Phase
	e := rhumb.Event{Kind: rhumb.EventDeployment, Stack: r.stack, Deployment: saved.ID, Release: saved.To, Phase: saved.Phase, By: saved.By, Text: saved.Why}
	switch {
	case to.Ended() && saved.To == 0: // who hears that it is down must not find it any more
		e.Text = saved.Verdict().Text
		r.c.care.Tidy(ctx, saved)
	case to.Ended():
		e.Text = saved.Verdict().Text
		work.Go(func() { r.c.care.Tidy(ctx, saved) })
	}
	r.c.events.Announce(ctx, e)
}

// phaseAfter gives the phase that follows from a decision, or "".
func phaseAfter(open *rhumb.Deployment, d rollout.Decision) (to rhumb.Phase, why string) {
	if open.Phase == rhumb.PhaseRollingBack {
		switch {
		case d.Done:
			return rhumb.PhaseRolledBack, ""
		case d.Failed != "":
			return rhumb.PhaseStuck, ""
		}
		return "", ""
	}
	switch {
	case open.Cancel:
		return rhumb.PhaseRollingBack, open.Why
	case d.Failed != "" && d.Action == rhumb.ActionPause:
		return rhumb.PhasePaused, d.Failed
	case d.Failed != "" && open.To == 0:
		return rhumb.PhaseStuck, d.Failed
	case d.Failed != "":
		return rhumb.PhaseRollingBack, d.Failed
	case d.Done && len(d.Left) > 0:
		return rhumb.PhaseIncomplete, ""
	case d.Done:
		return rhumb.PhaseConverged, ""
	}
	return "", ""
}

// making tells whether something is under way that the next look must not miss: a phase doesn't change over it.
func (r *runner) making() bool {
	for s := range r.flying {
		switch s.Kind {
		case rhumb.StepStop, rhumb.StepRemove, rhumb.StepRecord, rhumb.StepCheck:
		default:
			return true
		}
	}
	return false
}
