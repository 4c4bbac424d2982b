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

// Known are replicas that were looked at before. A list says too little of a container, and looking at each costs the
// engine 3 ms of CPU; but a list's line can tell that nothing has changed. The zero value is ready.
type Known struct {
	mu       sync.Mutex
	seen     map[string]sighting // by ID
	watchers int                 // how many watch the engine's events, which say when to forget
}

// sighting is what a replica looked like when the engine's list had that line for it.
type sighting struct {
	line    string
	replica rhumb.Replica
}

// Listed gives a replica that the engine has listed; look looks at it where that is needed.
func (k *Known) Listed(ctx context.Context, c *container.Summary, look func(ctx context.Context, id string) (rhumb.Replica, error)) (rhumb.Replica, error) {
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

// lineOf gives all of a list's line that changes when the replica does. Its status has the age in it, "Up 3 minutes
// (healthy)", so that one that was stopped and started by hand shows; while the engine's events are watched they tell
// that, and the age, which changes every second at first, is left out.
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

// settled tells whether what was seen is what the line says. If it changed in between, the line must not stand for it.
// The line of one that was never started doesn't change when its start fails.
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
	r.Addrs = maps.Clone(r.Addrs)
	return r, true
}

func (k *Known) note(line string, r rhumb.Replica) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil {
		k.seen = map[string]sighting{}
	}
	r.Addrs = maps.Clone(r.Addrs)
	k.seen[r.ID] = sighting{line, r}
}

// Forget forgets a replica, so that it is looked at again.
func (k *Known) Forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.seen, id)
}

// Watch counts who watches the engine's events. What was seen before the events were, or weren't, watched is forgotten.
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

// Keep forgets the replicas of a stack that are no longer listed; "" is all stacks.
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
