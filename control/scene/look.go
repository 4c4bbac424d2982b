package scene

import (
	"context"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/ready"
	"rhumb/control/routing"
	"rhumb/rollout"
)

// Memory is what is known of a stack and can't be looked up: what the stack's runner remembers.
type Memory struct {
	Ready    *ready.Readiness
	Stopping map[string]bool           // by replica ID: a stop is under way
	Lent     func(network string) bool // whether a one-off container uses the network
}

// Look adds what the engine and the proxy show. What is known of readiness is not in it yet: see Learn.
func (f Sources) Look(ctx context.Context, s *Scene) (err error) {
	o := &s.Observed
	if o.Replicas, err = f.Replicas(ctx, s.Stack()); err != nil {
		return err
	}
	if f.Holdings != nil {
		if s.Held, err = f.Holdings(ctx, s.Stack()); err != nil {
			return err
		}
		o.Networks, o.Volumes = slices.Clone(s.Held.Networks), slices.Clone(s.Held.Volumes)
	}
	if s.Router, err = f.Router(ctx); err != nil {
		return err
	}
	o.Routes, o.Published = routing.RoutesOf(s.Router, s.Stack())
	o.Segments = map[string]bool{}
	for _, seg := range s.Router.Table.Segments {
		if seg.Stack == s.Stack() {
			o.Segments[seg.Network] = true
		}
	}
	for _, rep := range o.Replicas {
		if rep.Alive() && !o.Routes[rep.ID].Draining && routing.Elsewhere(s.Router.Table, rep) {
			delete(o.Routes, rep.ID)
		}
	}
	return f.lookAtHooks(ctx, s)
}

// lookAtHooks adds when the replicas' post_start hooks had completed; zero: not yet. A replica that is or was routed
// has completed its hooks.
func (f Sources) lookAtHooks(ctx context.Context, s *Scene) error {
	var done map[string]time.Time
	for _, rep := range s.Observed.Replicas {
		if !rep.PostStart || rep.Slot == 0 || !rep.Alive() {
			continue
		}
		if done == nil {
			var err error
			if done, err = f.Hooked(ctx, s.Stack()); err != nil {
				return err
			}
			s.Observed.PostStart = map[string]time.Time{}
		}
		at := done[rep.ID]
		if _, routed := s.Observed.Routes[rep.ID]; routed && at.IsZero() {
			at = rep.Started
		}
		s.Observed.PostStart[rep.ID] = at
	}
	return nil
}

// Learn completes a look with what is remembered and with what the open deployment's record says. It only reads m.
func (s *Scene) Learn(m Memory, now time.Time) {
	o := &s.Observed
	o.Networks = slices.DeleteFunc(o.Networks, func(n string) bool { return m.Lent(n) && !s.Uses(n) })
	known := m.Ready.Snapshot(*o)
	o.Ready, o.Accepts = known.Since, known.Accepts
	for id, hooked := range o.PostStart {
		if hooked.IsZero() {
			delete(o.Ready, id)
		}
	}
	for _, rep := range o.Replicas {
		svc, _ := s.Definition(rep)
		if svc == nil || svc.Ready.Kind != rhumb.ReadyRunning || rep.State != rhumb.StateRunning {
			continue
		}
		delete(o.Ready, rep.ID) // it may be routed before, but is ready only once its window has passed
		if since, ok := rollout.ReadySince(o, svc, rep); ok && !since.After(now) {
			o.Ready[rep.ID] = since
		}
	}
	o.Recorded, o.Stopping = known.Recorded, m.Stopping
	if s.Open != nil {
		for _, f := range s.Open.Failures {
			o.Recorded[f.ID] = true
		}
	}
}

// Severed returns the replicas that were cut off from a network of the stack. A replica that doesn't run has no
// addresses: for it, known reports whether it was cut off before.
func (s *Scene) Severed(known func(id string) bool) map[string]bool {
	cut := map[string]bool{}
	for _, rep := range s.Observed.Replicas {
		if rep.State != rhumb.StateRunning || rep.Slot == 0 {
			if known(rep.ID) {
				cut[rep.ID] = true
			}
			continue
		}
		if svc, _ := s.Definition(rep); svc != nil && cutOff(svc, rep, s.Held.Bridges) {
			cut[rep.ID] = true
		}
	}
	return cut
}

// cutOff reports whether a replica lacks a network of the stack that it should be in.
func cutOff(svc *rhumb.Service, rep rhumb.Replica, bridges []rhumb.Bridge) bool {
	return svc.Container.NetworkMode == "" && slices.ContainsFunc(bridges, func(b rhumb.Bridge) bool {
		in := func(a rhumb.Attachment) bool { return a.Network == b.Network }
		return slices.ContainsFunc(svc.Container.Networks, in) && !rep.Addrs[b.Network].IsValid()
	})
}
