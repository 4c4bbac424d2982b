package enginefake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"rhumb"
)

// holding is a network or a volume. Without a stack it has no label.
type holding struct {
	stack   string
	network rhumb.Network
	volume  rhumb.Volume
	number  uint32 // of a network: how many were made before
}

// AddNetwork makes a network by hand, as an external one.
func (e *Engine) AddNetwork(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.networks[name] = e.numbered(holding{})
}

// AddVolume makes a volume by hand, as an external one.
func (e *Engine) AddVolume(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.volumes[name] = holding{}
}

// EnsureNetwork makes the stack's network unless it is there.
func (e *Engine) EnsureNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	if err := e.enter(ctx, "EnsureNetwork"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	found, err := e.checkNetwork(stack, n)
	if !found && err == nil {
		e.networks[n.Name] = e.numbered(holding{stack: stack, network: n})
	}
	return err
}

// CheckNetwork returns why a network can't be had.
func (e *Engine) CheckNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	if err := e.enter(ctx, "CheckNetwork"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	_, err := e.checkNetwork(stack, n)
	return err
}

func (e *Engine) checkNetwork(stack string, n rhumb.Network) (found bool, err error) {
	there, found := e.networks[n.Name]
	switch {
	case found && n.External:
	case n.External:
		return false, rhumb.Errorf(rhumb.NotFound, "network %s: it is external and not there", n.Name)
	case found && there.stack != stack:
		return true, rhumb.Errorf(rhumb.Conflict, "network %s: one of that name is there and is not the stack's", n.Name)
	case found && there.network.Definition() != n.Definition():
		return true, rhumb.Errorf(rhumb.Conflict, "network %s: it is there and defined otherwise", n.Name)
	}
	return found, nil
}

// EnsureVolume makes the stack's volume unless it is there.
func (e *Engine) EnsureVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	if err := e.enter(ctx, "EnsureVolume"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	found, err := e.checkVolume(stack, v)
	if !found && err == nil {
		e.volumes[v.Name] = holding{stack: stack, volume: v}
	}
	return err
}

// CheckVolume returns why a volume can't be had.
func (e *Engine) CheckVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	if err := e.enter(ctx, "CheckVolume"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	_, err := e.checkVolume(stack, v)
	return err
}

func (e *Engine) checkVolume(stack string, v rhumb.Volume) (found bool, err error) {
	there, found := e.volumes[v.Name]
	switch {
	case found && v.External:
	case v.External:
		return false, rhumb.Errorf(rhumb.NotFound, "volume %s: it is external and not there", v.Name)
	case !found, there.stack == "" && v.Driver == "" && len(v.DriverOpts) == 0:
	case there.stack != "" && there.stack != stack:
		return true, rhumb.Errorf(rhumb.Conflict, "volume %s: it is the stack %s's", v.Name, there.stack)
	default:
		if what := v.Differs(there.volume.Driver, there.volume.DriverOpts); len(what) > 0 {
			return true, rhumb.Errorf(rhumb.Conflict, "volume %s: it is there and defined otherwise: %s", v.Name,
				strings.Join(what, ", "))
		}
	}
	return found, nil
}

// RemoveNetwork removes a network of the stack.
func (e *Engine) RemoveNetwork(ctx context.Context, stack, name string) error {
	if err := e.enter(ctx, "RemoveNetwork"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	found, ok := e.networks[name]
	if !ok {
		return nil
	}
	if found.stack != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove network %s: it is not the stack's", name)
	}
	now := e.now()
	for _, r := range e.replicas {
		beside := slices.ContainsFunc(r.spec.Beside, func(a rhumb.Attachment) bool { return a.Network == name })
		if view := r.at(now); view.Alive() && view.Addrs[name].IsValid() && !beside {
			return rhumb.Errorf(rhumb.Conflict, "remove network %s: a container uses it", name)
		}
	}
	for _, r := range e.replicas {
		r.leave(name)
	}
	delete(e.networks, name)
	e.note(rhumb.Change{})
	return nil
}

// RemoveVolume removes a volume of the stack.
func (e *Engine) RemoveVolume(ctx context.Context, stack, name string) error {
	if err := e.enter(ctx, "RemoveVolume"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	found, ok := e.volumes[name]
	if !ok {
		return nil
	}
	if found.stack != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: it was not made by rhumb for this stack", name)
	}
	if slices.ContainsFunc(e.replicas, func(r *replica) bool { return slices.Contains(r.volumes, name) }) {
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: a container uses it", name)
	}
	delete(e.volumes, name)
	e.note(rhumb.Change{})
	return nil
}

// Holdings lists the networks and volumes that carry the stack's label.
func (e *Engine) Holdings(ctx context.Context, stack string) (rhumb.Holdings, error) {
	if err := e.enter(ctx, "Holdings"); err != nil {
		return rhumb.Holdings{}, err
	}
	defer e.mu.Unlock()
	h := rhumb.Holdings{Networks: of(e.networks, stack), Volumes: of(e.volumes, stack)}
	for _, name := range h.Networks {
		if n := e.networks[name]; n.network.Driver == "" || n.network.Driver == "bridge" {
			h.Bridges = append(h.Bridges, n.bridge(name))
		}
	}
	return h, nil
}

// numbered sets the number of a new network.
func (e *Engine) numbered(h holding) holding {
	h.number = e.joined
	e.joined++
	return h
}

// bridge returns a network as a bridge. Replicas get the lower half of its addresses.
func (h *holding) bridge(name string) rhumb.Bridge {
	id := fmt.Sprintf("%064x", 1<<40|uint64(h.number))
	first := byte(10 + h.number%200)
	addr := func(second, last byte) netip.Addr { return netip.AddrFrom4([4]byte{first, second, 0, last}) }
	b := rhumb.Bridge{Network: name, ID: id, Interface: "br-" + id[52:], Subnet: netip.PrefixFrom(addr(0, 0), 8),
		Gateway: addr(0, 1)}
	if h.network.IPAM.Driver == "" && len(h.network.IPAM.Pools) == 0 {
		b.Addresses = netip.PrefixFrom(addr(128, 0), 9)
	}
	return b
}

// Disconnect takes a running replica out of a network by hand.
func (e *Engine) Disconnect(id, network string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.byID(id); r != nil {
		r.leave(network)
		e.tell(r)
	}
}

// leave takes a replica out of a network.
func (r *replica) leave(network string) {
	if r.base.Addrs[network].IsValid() {
		r.base.Addrs = maps.Clone(r.base.Addrs) // the old one was given away
		delete(r.base.Addrs, network)
	}
}

// of returns the names of a stack's holdings, sorted.
func of(all map[string]holding, stack string) []string {
	var names []string
	for name, h := range all {
		if h.stack != "" && h.stack == stack {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// volumesOf returns the names of a replica's volumes, and creates missing ones. The anonymous volumes of a one-off get
// names that are never used again.
func (e *Engine) volumesOf(spec *rhumb.ReplicaSpec) []string {
	var names []string
	taken := map[string]bool{}
	own := func(target string) {
		if spec.OneOff == "" || spec.VolumesOf != "" {
			name := rhumb.AnonymousVolumeName(spec.Stack, cmp.Or(spec.VolumesOf, spec.Service), spec.Slot, path.Clean(target))
			names = append(names, name)
			e.volumes[name] = holding{stack: spec.Stack}
		}
	}
	for _, m := range spec.Container.Mounts {
		taken[path.Clean(m.Target)] = true
		switch {
		case m.Type != rhumb.MountVolume:
		case m.Source == "":
			own(m.Target)
		default:
			names = append(names, m.Source)
		}
	}
	for _, target := range e.declared(&spec.Container) {
		if !taken[path.Clean(target)] {
			own(target)
		}
	}
	return names
}
