package run

import (
	"context"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/ledger"
	"rhumb/control/scene"
	"rhumb/rollout"
)

// settle moves the open deployment on to its next phase if the decision says so. If moved is true the turn ends here.
func (r *runner) settle(
	ctx context.Context, work *sync.WaitGroup, s *scene.Scene, d rollout.Decision, now time.Time,
) (moved bool, err error) {
	if s.Open == nil {
		return false, nil
	}
	recorded, err := r.act.Jobs(ctx, s)
	if err != nil {
		return false, err
	}
	if recorded != nil {
		s.Open, s.Wanted.Jobs = recorded, recorded.Jobs
	}
	to, why := phaseAfter(s.Open, d)
	if to == "" {
		return false, nil
	}
	if r.act.Abandon(); r.flying.making() {
		return false, nil
	}
	open := *s.Open
	if to == rhumb.PhaseStuck || to == rhumb.PhaseIncomplete {
		open.Left = d.Left
	}
	if to.Ended() {
		open.Unserved = ledger.Since(open.Before, s.Router, r.stack)
	}
	s.NoteRemains(&open, to)
	if err := open.Move(to, now, why); err != nil {
		return false, err
	}
	saved, err := r.Ledger.Move(ctx, open)
	if rhumb.ErrorCode(err) == rhumb.Conflict {
		return true, nil // it was cancelled meanwhile: look again
	}
	if err != nil {
		return false, err
	}
	clear(r.again)
	clear(r.ensured)
	r.settled(ctx, work, saved)
	return true, nil
}

// settled announces a deployment's phase, and tidies up after a deployment that has ended.
func (r *runner) settled(ctx context.Context, work *sync.WaitGroup, saved rhumb.Deployment) {
	e := rhumb.Event{Kind: rhumb.EventDeployment, Stack: r.stack, Deployment: saved.ID, Release: saved.To,
		Phase: saved.Phase, By: saved.By, Text: saved.Why}
	if saved.Phase.Ended() {
		e.Text = saved.Verdict().Text
	}
	switch {
	case saved.Phase.Ended() && saved.To == 0:
		r.Care.Tidy(ctx, saved) // once the event says that the stack is down, it must be gone
	case saved.Phase.Ended():
		r.beside(work, func() { r.Care.Tidy(ctx, saved) })
	}
	r.Act.Announce(ctx, e)
}

// phaseAfter returns the phase that follows from a decision, or "".
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
