// Package ledger is the one place that writes deployments: it opens them, notes in them what happens, and cancels them.
package ledger

import (
	"context"
	"time"

	"rhumb"
	"rhumb/internal/failpoint"
	"rhumb/internal/pause"
	"rhumb/rollout/diff"
)

// Store keeps stacks, releases and deployments.
type Store interface {
	StackState(ctx context.Context, name string) (rhumb.StackState, error)
	Begin(ctx context.Context, r *rhumb.Release, d rhumb.Deployment) (rhumb.Deployment, error)
	Save(ctx context.Context, d rhumb.Deployment) (rhumb.Deployment, error)
	Deployment(ctx context.Context, stack string, id int64) (rhumb.Deployment, error)
	Release(ctx context.Context, stack string, number int) (rhumb.Release, error)
}

// Deps is what a Ledger works with. All are required.
type Deps struct {
	Store Store
	// whether the proxy can serve what a model publishes
	Check    func(ctx context.Context, m *rhumb.Stack) error
	Router   func(ctx context.Context) (rhumb.RouterStatus, error)           // what the proxy has counted
	Announce func(ctx context.Context, e rhumb.Event)                        // a deployment began
	Keep     func(ctx context.Context, d rhumb.Deployment, r *rhumb.Release) // its new release must keep its images
	Begun    func(stack string)                                              // the stack has an open deployment now
	Changed  func(stack string)                                              // a deployment of the stack was changed
}

// Ledger writes deployments.
type Ledger struct {
	Deps
	releases releases
	begins   locks
}

// New returns a Ledger.
func New(d Deps) *Ledger {
	known, used := map[releaseKey]*rhumb.Release{}, map[string]*lock{}
	return &Ledger{Deps: d, releases: releases{known: known}, begins: locks{used: used}}
}

// Proposal is a deployment that is to be opened. Release is the new release; nil: the deployment goes to an older
// one, or to none.
type Proposal struct {
	Release    *rhumb.Release
	Deployment rhumb.Deployment
}

// Propose makes a proposal of where the stack stands. It is called again if the stack has changed before the deployment
// is opened.
type Propose func(ctx context.Context, state rhumb.StackState) (Proposal, error)

// Begin opens the deployment that propose returns, unless nothing would change: then the deployment that it returns has
// ended and no ID. While another deployment of the stack is open Begin waits, at most for wait; then it returns Locked.
func (l *Ledger) Begin(
	ctx context.Context, stack string, wait time.Duration, propose Propose,
) (rhumb.Deployment, error) {
	for deadline := time.Now().Add(wait); ; {
		d, moved, err := l.tryBegin(ctx, stack, propose)
		switch {
		case ctx.Err() != nil:
			return d, err
		case moved:
		case rhumb.ErrorCode(err) == rhumb.Locked && time.Now().Before(deadline):
			pause.For(ctx, 200*time.Millisecond)
		default:
			return d, err
		}
	}
}

// tryBegin opens the deployment once. moved is true if another release serves by now than the proposal is made from;
// err is the store's Conflict then.
func (l *Ledger) tryBegin(
	ctx context.Context, stack string, propose Propose,
) (d rhumb.Deployment, moved bool, err error) {
	unlock, err := l.Lock(ctx, stack) // what is compared is what is stored
	if err != nil {
		return d, false, err
	}
	defer unlock()
	state, err := l.Store.StackState(ctx, stack)
	if err != nil {
		return d, false, err
	}
	p, err := propose(ctx, state)
	if err != nil {
		return p.Deployment, false, err
	}
	if done, err := l.check(ctx, state, &p); done || err != nil {
		return p.Deployment, false, err
	}
	d, rel := p.Deployment, p.Release
	failpoint.Here("before the beginning")
	d.Before = l.tally(ctx, stack)
	opened, err := l.Store.Begin(ctx, rel, d)
	if rhumb.ErrorCode(err) == rhumb.Conflict {
		if now, lookErr := l.Store.StackState(ctx, stack); lookErr == nil && now.Current != d.From {
			return opened, true, err // another deployment has ended since
		}
	}
	if err != nil {
		return opened, false, err
	}
	failpoint.Here("after the beginning")
	if rel != nil {
		l.Keep(ctx, opened, rel)
	}
	l.Announce(ctx, l.begun(ctx, opened, rel))
	l.Begun(stack)
	return opened, false, nil
}

// check completes a proposal. done is true if there is nothing to do.
func (l *Ledger) check(ctx context.Context, state rhumb.StackState, p *Proposal) (done bool, err error) {
	d := &p.Deployment
	if p.Release == nil && d.To != 0 && d.To == d.From {
		d.Phase, d.Started = rhumb.PhaseConverged, time.Now().UTC()
		return true, nil
	}
	d.Phase = rhumb.PhaseRolling // the store sets Started: after the end of a deployment that was open until then
	if p.Release == nil || state.Open != 0 {
		return false, nil
	}
	same, err := l.unchanged(ctx, p.Release, state)
	if err != nil {
		return false, err
	}
	if same {
		d.To, d.Phase, d.Started = state.Current, rhumb.PhaseConverged, time.Now().UTC()
		return true, nil
	}
	return false, l.Check(ctx, &p.Release.Model)
}

// unchanged reports whether the stack serves this very model and reached it in full.
func (l *Ledger) unchanged(ctx context.Context, rel *rhumb.Release, state rhumb.StackState) (bool, error) {
	if state.Current == 0 {
		return false, nil
	}
	cur, err := l.Release(ctx, state.Name, state.Current)
	if err != nil {
		return false, err
	}
	last, err := l.Store.Deployment(ctx, state.Name, 0)
	if err != nil && rhumb.ErrorCode(err) != rhumb.NotFound {
		return false, err
	}
	switch last.Phase {
	case rhumb.PhasePaused, rhumb.PhaseIncomplete, rhumb.PhaseStuck:
		return false, nil
	}
	return len(diff.Stacks(&cur.Model, &rel.Model)) == 0, nil
}

// Update changes a stored deployment. If it was changed by another call meanwhile, change is called again with what is
// stored then. An error of change is returned as it is, and nothing is stored.
func (l *Ledger) Update(
	ctx context.Context, stack string, id int64, change func(*rhumb.Deployment) error,
) (rhumb.Deployment, error) {
	for {
		d, err := l.Store.Deployment(ctx, stack, id)
		if err != nil {
			return d, err
		}
		if err := change(&d); err != nil {
			return d, err
		}
		failpoint.Here("before a note")
		saved, err := l.Store.Save(ctx, d)
		failpoint.Here("after a note")
		if rhumb.ErrorCode(err) == rhumb.Conflict && ctx.Err() == nil {
			continue
		}
		if err == nil {
			l.Changed(stack)
		}
		return saved, err
	}
}

// Move stores a deployment that has moved to another phase. It returns Conflict if the deployment was changed since it
// was read, for example cancelled.
func (l *Ledger) Move(ctx context.Context, d rhumb.Deployment) (rhumb.Deployment, error) {
	failpoint.Here("before it is", string(d.Phase))
	saved, err := l.Store.Save(ctx, d)
	if err == nil {
		failpoint.Here("after it is", string(d.Phase))
	}
	return saved, err
}

// Cancel rolls back an open deployment. It returns Conflict if the deployment has ended. Cancelling one that is rolling
// back already changes nothing, so that the first reason stays.
func (l *Ledger) Cancel(ctx context.Context, stack string, id int64, by string) error {
	_, err := l.Update(ctx, stack, id, func(d *rhumb.Deployment) error {
		if d.Phase.Ended() {
			return rhumb.Errorf(rhumb.Conflict, "deployment %d of %s has ended: %s", d.ID, stack, d.Phase)
		}
		if d.Phase == rhumb.PhaseRollingBack {
			return nil
		}
		d.Cancel = true
		if by != "" {
			d.Why = "cancelled by " + by
		}
		return nil
	})
	return err
}
