package observed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"

	"rhumb"
)

// Known caches replicas. The engine's list says too little of a container, and inspecting one costs the engine 3 ms of
// CPU; but a line of the list shows whether anything has changed. The zero value is ready.
type Known struct {
	mu       sync.Mutex
	seen     map[string]sighting // by ID
	watchers int                 // how many goroutines watch the engine's events, which say when to forget
}

// sighting is what a replica looked like when the engine's list had that line for it.
type sighting struct {
	line    string
	replica rhumb.Replica
}

// Listed returns a replica that the engine has listed. It calls look if the replica may have changed.
func (k *Known) Listed(ctx context.Context, c *container.Summary,
	look func(ctx context.Context, id string) (rhumb.Replica, error)) (rhumb.Replica, error) {
	line := lineOf(c, k.watched())
	if r, ok := k.find(c.ID, line); ok {
		return r, nil
	}
	r, err := look(ctx, c.ID)
	if err == nil && settled(c, &r) {
		k.note(line, r)
	}
	return r, err
}

// lineOf returns the part of a list's line that changes when the replica does. The status includes the age, "Up 3
// minutes (healthy)", which reveals a stop and start by hand. While the engine's events are watched they reveal it, and
// the age, which at first changes every second, is left out.
func lineOf(c *container.Summary, watched bool) string {
	var b strings.Builder
	fmt.Fprint(&b, c.State, healthIn(c.Status))
	if !watched {
		fmt.Fprint(&b, c.Status)
	}
	if c.NetworkSettings == nil {
		return b.String()
	}
	for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
		if ep := c.NetworkSettings.Networks[name]; ep != nil {
			fmt.Fprint(&b, name, ep.IPAddress, ep.GlobalIPv6Address)
		}
	}
	return b.String()
}

// settled reports whether the inspected replica agrees with its line. If it changed in between, the line must not stand
// for it. The line of a replica that was never started doesn't change when its start fails.
func settled(c *container.Summary, r *rhumb.Replica) bool {
	switch c.State {
	case container.StateRunning:
		return r.State == rhumb.StateRunning && r.Health == healthIn(c.Status)
	case container.StateExited:
		return r.State == rhumb.StateExited
	}
	return false
}

// healthIn reads the health out of a status.
func healthIn(status string) rhumb.Health {
	switch {
	case strings.HasSuffix(status, "(healthy)"):
		return rhumb.HealthHealthy
	case strings.HasSuffix(status, "(unhealthy)"):
		return rhumb.HealthUnhealthy
	case strings.HasSuffix(status, "(health: starting)"):
		return rhumb.HealthStarting
	}
	return rhumb.HealthNone
}

func (k *Known) find(id, line string) (rhumb.Replica, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.seen[id]
	if !ok || s.line != line {
		return rhumb.Replica{}, false
	}
	r := s.replica
	r.Addrs, r.Addrs6 = maps.Clone(r.Addrs), maps.Clone(r.Addrs6)
	return r, true
}

func (k *Known) note(line string, r rhumb.Replica) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil {
		k.seen = map[string]sighting{}
	}
	r.Addrs, r.Addrs6 = maps.Clone(r.Addrs), maps.Clone(r.Addrs6)
	k.seen[r.ID] = sighting{line, r}
}

// Forget drops a replica, so that it is inspected again.
func (k *Known) Forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.seen, id)
}

// Watch adds n to the number of watchers of the engine's events. When watching begins or ends, it drops all replicas.
func (k *Known) Watch(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watchers += n
	clear(k.seen)
}

func (k *Known) watched() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.watchers > 0
}

// Keep drops the replicas of a stack that are no longer listed; "" is all stacks.
func (k *Known) Keep(stack string, list []container.Summary) {
	there := make(map[string]bool, len(list))
	for _, c := range list {
		there[c.ID] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.seen, func(id string, s sighting) bool {
		return (stack == "" || s.replica.Stack == stack) && !there[id]
	})
}
