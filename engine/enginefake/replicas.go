package enginefake

import (
	"context"

	"rhumb"
)

// replicas are the replicas of all stacks.
type replicas struct{ *state }

// Replicas lists the replicas of a stack. Their Addrs are shared: they must not be written to.
func (rs *replicas) Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error) {
	if err := rs.enter(ctx, "Replicas"); err != nil {
		return nil, err
	}
	defer rs.mu.Unlock()
	now := rs.now()
	list := make([]rhumb.Replica, 0, len(rs.replicas))
	for _, r := range rs.replicas {
		if stack == "" || r.base.Stack == stack {
			list = append(list, r.at(now))
		}
	}
	return list, nil
}

// Stop stops a replica at once: with 0, or with 137 if it behaves so as to ignore its stop signal.
func (rs *replicas) Stop(ctx context.Context, id string) error {
	if err := rs.enter(ctx, "Stop"); err != nil {
		return err
	}
	defer rs.mu.Unlock()
	now := rs.now()
	r := rs.byID(id)
	if r == nil {
		return nil
	}
	if view := r.at(now); !view.Alive() {
		return nil
	}
	code := r.behaviour.StopCode
	if r.behaviour.IgnoresStop {
		code = 137
	}
	r.end(now, code)
	rs.report(r)
	return nil
}

// Remove removes a dead replica.
func (rs *replicas) Remove(ctx context.Context, id string) error {
	if err := rs.enter(ctx, "Remove"); err != nil {
		return err
	}
	defer rs.mu.Unlock()
	r := rs.byID(id)
	if r == nil {
		return nil
	}
	if view := r.at(rs.now()); view.Alive() {
		return rhumb.Errorf(rhumb.Conflict, "remove %s: it runs", r.name).WithHint("stop it first")
	}
	rs.drop(r)
	return nil
}
