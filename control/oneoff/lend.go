package oneoff

import (
	"context"
	"fmt"
	"slices"

	"rhumb"
)

// Lent reports whether a one-off uses a network that no release may want. A turn doesn't remove it meanwhile.
func (r *Room) Lent(stack, network string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lent[loan{stack, network}] > 0
}

// count adds n to how many one-offs use a network.
func (r *Room) count(stack, network string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := loan{stack, network}
	if r.lent[key] += n; r.lent[key] <= 0 {
		delete(r.lent, key)
	}
}

// lend makes the networks and volumes that a container of any release needs. giveBack, which is never nil, removes the
// networks that neither a release nor another one-off needs. Volumes stay.
func (r *Room) lend(ctx context.Context, m *rhumb.Stack, k *rhumb.Container) (giveBack func(), err error) {
	var names []string
	giveBack = func() {
		for _, name := range names {
			r.count(m.Name, name, -1)
		}
		r.removeUnused(context.WithoutCancel(ctx), m.Name, names)
	}
	for _, v := range m.Volumes {
		uses := func(mt rhumb.Mount) bool { return mt.Type == rhumb.MountVolume && mt.Source == v.Name }
		if !slices.ContainsFunc(k.Mounts, uses) {
			continue
		}
		if err := r.Engine.EnsureVolume(ctx, m.Name, v); err != nil {
			return giveBack, err
		}
	}
	for _, n := range m.Networks {
		if !slices.ContainsFunc(k.Networks, func(a rhumb.Attachment) bool { return a.Network == n.Name }) {
			continue
		}
		if !n.External {
			names = append(names, n.Name)
			r.count(m.Name, n.Name, 1)
		}
		if err := r.Engine.EnsureNetwork(ctx, m.Name, n); err != nil {
			return giveBack, fmt.Errorf("network %s: %w", n.Name, err)
		}
	}
	r.Changed(m.Name)
	return giveBack, nil
}

// removeUnused removes those of the networks that no release and no one-off needs now.
func (r *Room) removeUnused(ctx context.Context, stack string, names []string) {
	unlock, err := r.Lock(ctx, stack) // no deployment that wants them begins meanwhile
	if err != nil {
		r.Log.Warn("networks of a one-off not removed", "stack", stack, "err", err)
		return
	}
	defer unlock()
	s, err := r.Sources.Wanted(ctx, stack)
	if err != nil {
		r.Log.Warn("networks of a one-off not removed", "stack", stack, "err", err)
		return
	}
	for _, name := range names {
		if r.Lent(stack, name) || s.Uses(name) {
			continue
		}
		if err := r.Engine.RemoveNetwork(ctx, stack, name); err != nil && rhumb.ErrorCode(err) != rhumb.Conflict {
			r.Log.Warn("network of a one-off not removed", "stack", stack, "network", name, "err", err)
		}
	}
	r.Changed(stack)
}
