// Package scene is what one turn sees of a stack: what the store says is wanted, and what the engine and the proxy
// show. A scene is a value. Reading one changes nothing, so that a status can read one beside the turns.
package scene

import (
	"context"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/directory"
	"rhumb/rollout"
)

// Scene is one look at a stack. Once the turn has begun steps with it, nothing in it changes any more.
type Scene struct {
	Wanted   rollout.Wanted
	Open     *rhumb.Deployment // nil: no deployment is open, the stack is held
	Paused   bool              // the last deployment was paused: dead replicas are replaced, nothing else changes
	Observed rollout.Observed
	Held     rhumb.Holdings     // the stack's networks and volumes, as the engine lists them
	Router   rhumb.RouterStatus // of all stacks
}

// Sources are what a scene is read from.
type Sources struct {
	Store    Store
	Release  func(ctx context.Context, stack string, number int) (*rhumb.Release, error)
	Replicas func(ctx context.Context, stack string) ([]rhumb.Replica, error)
	Router   func(ctx context.Context) (rhumb.RouterStatus, error)
	// Holdings lists the stack's networks and volumes; nil: the scene has none.
	Holdings func(ctx context.Context, stack string) (rhumb.Holdings, error)
	// Hooked returns when replicas' post_start hooks had completed, by replica ID. It is called only if a replica has
	// hooks.
	Hooked func(ctx context.Context, stack string) (map[string]time.Time, error)
}

// Store says what is wanted.
type Store interface {
	StackState(ctx context.Context, name string) (rhumb.StackState, error)
	Deployment(ctx context.Context, stack string, id int64) (rhumb.Deployment, error)
}

// Wanted reads what is wanted of a stack. The scene that it returns has seen neither the engine nor the proxy.
func (f Sources) Wanted(ctx context.Context, stack string) (*Scene, error) {
	state, err := f.Store.StackState(ctx, stack)
	if err != nil {
		return nil, err
	}
	d, err := f.Store.Deployment(ctx, stack, state.Open) // the last one if none is open
	if err != nil && (state.Open != 0 || rhumb.ErrorCode(err) != rhumb.NotFound) {
		return nil, err
	}
	s := &Scene{Wanted: rollout.Wanted{Stack: stack, Mode: rollout.Hold}}
	to, from := state.Current, other(d, state.Current)
	s.Paused = state.Open == 0 && d.Phase == rhumb.PhasePaused
	if state.Open != 0 {
		s.Open = &d
		to, from = pursue(&s.Wanted, d)
	}
	s.Wanted.Release = to
	if s.Wanted.Model, s.Wanted.Specs, err = f.model(ctx, stack, to); err != nil {
		return nil, err
	}
	s.Wanted.Previous, s.Wanted.OldSpecs, err = f.model(ctx, stack, from)
	if rhumb.ErrorCode(err) == rhumb.NotFound {
		err = nil // it is pruned: replicas that are left of it drain without its settings
	}
	return s, err
}

// other returns the release that a deployment went from or to and that isn't this one.
func other(d rhumb.Deployment, release int) int {
	if d.To == release {
		return d.From
	}
	return d.To
}

// pursue fills in what an open deployment wants, and returns the release that it goes to and the one that it leaves.
func pursue(w *rollout.Wanted, d rhumb.Deployment) (to, from int) {
	w.Jobs, w.Since, w.Checked = d.Jobs, d.Started, d.Checked
	if d.Phase == rhumb.PhaseRollingBack {
		w.Mode = rollout.Restore
		others := func(f rhumb.Failure) bool { return f.Release != d.From }
		w.Failures = slices.DeleteFunc(slices.Clone(d.Failures), others)
		return d.From, d.To
	}
	w.Mode, w.RunJobs, w.Volumes, w.Failures = rollout.Deploy, d.Cause == rhumb.CauseDeploy, d.Volumes, d.Failures
	return d.To, d.From
}

// model returns a release's model and its spec hashes; nil for release 0.
func (f Sources) model(ctx context.Context, stack string, number int) (*rhumb.Stack, map[string]string, error) {
	if number <= 0 {
		return nil, nil, nil
	}
	r, err := f.Release(ctx, stack, number)
	if err != nil {
		return nil, nil, err
	}
	return &r.Model, r.Specs, nil
}

// Idle reports whether nothing is wanted of the stack: it is down, or it was never deployed.
func (s *Scene) Idle() bool { return s.Open == nil && s.Wanted.Release == 0 }

// Cancelled reports whether the open deployment is cancelled but isn't rolling back yet.
func (s *Scene) Cancelled() bool {
	return s.Open != nil && s.Open.Phase == rhumb.PhaseRolling && s.Open.Cancel
}

// Stack returns the stack's name.
func (s *Scene) Stack() string { return s.Wanted.Stack }

// Replica returns the observed replica with the ID.
func (s *Scene) Replica(id string) (rhumb.Replica, bool) {
	for _, rep := range s.Observed.Replicas {
		if rep.ID == id {
			return rep, true
		}
	}
	return rhumb.Replica{}, false
}

// Definition returns the service as the release of a replica has it. The replica's spec hash decides, because that is
// what really runs. It returns nil if neither the wanted nor the previous release has that spec.
func (s *Scene) Definition(rep rhumb.Replica) (svc *rhumb.Service, wanted bool) {
	if svc := s.Wanted.Model.Service(rep.Service); svc != nil && s.Wanted.Specs[svc.Name] == rep.Spec {
		return svc, true
	}
	if svc := s.Wanted.Previous.Service(rep.Service); svc != nil && s.Wanted.OldSpecs[svc.Name] == rep.Spec {
		return svc, false
	}
	return nil, false
}

// Uses reports whether the wanted release has a network of that name, or the release that an open deployment leaves.
func (s *Scene) Uses(network string) bool {
	has := func(m *rhumb.Stack) bool {
		return m != nil && slices.ContainsFunc(m.Networks, func(n rhumb.Network) bool { return n.Name == network })
	}
	return has(s.Wanted.Model) || s.Open != nil && has(s.Wanted.Previous)
}

// Completed returns the replicas whose job has completed in the open deployment and isn't recorded there yet. A job
// that completed just before its deployment was rolled back is one of them.
func (s *Scene) Completed() []rhumb.Replica {
	if s.Open == nil || s.Open.Phase.Ended() {
		return nil
	}
	m, hashes := s.Wanted.Model, s.Wanted.Specs
	if s.Open.Phase == rhumb.PhaseRollingBack {
		m, hashes = s.Wanted.Previous, s.Wanted.OldSpecs
	}
	var fresh []rhumb.Replica
	for _, rep := range s.Observed.Replicas {
		svc := m.Service(rep.Service)
		if svc != nil && rep.Release == s.Open.To && rep.Slot > 0 && rollout.Completed(svc, rep) &&
			!slices.Contains(s.Open.Jobs, svc.Name) && rep.Spec == hashes[svc.Name] {
			fresh = append(fresh, rep)
		}
	}
	return fresh
}

// NoteRemains notes in a deployment that moves to a phase what it leaves as it is. Of a stack that is down, those are
// its volumes. Where an older release serves again, they are the mounted paths that no release holds.
func (s *Scene) NoteRemains(d *rhumb.Deployment, to rhumb.Phase) {
	back := to == rhumb.PhaseRolledBack || to == rhumb.PhaseStuck ||
		to == rhumb.PhaseConverged && d.Cause == rhumb.CauseRollback
	switch {
	case s.Wanted.Model == nil && to != rhumb.PhaseStuck:
		d.Kept = s.Held.Volumes
	case s.Wanted.Model != nil && back:
		d.Loose = s.Wanted.Model.Unversioned
	}
}

// Directory returns the names by which the stack's services find each other with this table.
func (s *Scene) Directory(t rhumb.Table) directory.Directory {
	return directory.Of(t, s.Stack(), s.Wanted.Model, s.Wanted.Previous)
}

// Event returns an event about a replica, or about the stack if the replica has no slot.
func (s *Scene) Event(rep rhumb.Replica, kind rhumb.EventKind, text string) rhumb.Event {
	e := rhumb.Event{Kind: kind, Stack: rep.Stack, Service: rep.Service, Slot: rep.Slot, Release: rep.Release,
		Text: text}
	if rep.Slot != 0 {
		e.Replica = rep.Name()
	}
	if s.Open != nil {
		e.Deployment = s.Open.ID
	}
	return e
}

// StepEvent returns an event about what a step is about.
func (s *Scene) StepEvent(step rhumb.Step, kind rhumb.EventKind, text string) rhumb.Event {
	rep := rhumb.Replica{Stack: s.Stack(), Service: step.Service, Release: step.Release, Slot: step.Slot}
	return s.Event(rep, kind, text)
}

// Names returns the names that a container which is about to start finds, with the table that the proxy serves now.
func (f Sources) Names(ctx context.Context, s *Scene, k *rhumb.Container) (map[string]string, error) {
	st, err := f.Router(ctx)
	if err != nil {
		return nil, err
	}
	return s.Directory(st.Table).Names(k), nil
}
