package enginefake

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
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

// holdings are networks and volumes.
type holdings struct{ *state }

// AddNetwork makes a network by hand, as an external one.
func (hs *holdings) AddNetwork(name string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.networks[name] = hs.numbered(holding{})
}

// AddVolume makes a volume by hand, as an external one.
func (hs *holdings) AddVolume(name string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.volumes[name] = holding{}
}

// EnsureNetwork makes the stack's network unless it is there.
func (hs *holdings) EnsureNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	if err := hs.enter(ctx, "EnsureNetwork"); err != nil {
		return err
	}
	defer hs.mu.Unlock()
	found, err := hs.checkNetwork(stack, n)
	if !found && err == nil {
		hs.networks[n.Name] = hs.numbered(holding{stack: stack, network: n})
	}
	return err
}

// CheckNetwork returns why a network can't be had.
func (hs *holdings) CheckNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	if err := hs.enter(ctx, "CheckNetwork"); err != nil {
		return err
	}
	defer hs.mu.Unlock()
	_, err := hs.checkNetwork(stack, n)
	return err
}

func (hs *holdings) checkNetwork(stack string, n rhumb.Network) (found bool, err error) {
	there, found := hs.networks[n.Name]
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
func (hs *holdings) EnsureVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	if err := hs.enter(ctx, "EnsureVolume"); err != nil {
		return err
	}
	defer hs.mu.Unlock()
	found, err := hs.checkVolume(stack, v)
	if !found && err == nil {
		hs.volumes[v.Name] = holding{stack: stack, volume: v}
	}
	return err
}

// CheckVolume returns why a volume can't be had.
func (hs *holdings) CheckVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	if err := hs.enter(ctx, "CheckVolume"); err != nil {
		return err
	}
	defer hs.mu.Unlock()
	_, err := hs.checkVolume(stack, v)
	return err
}

func (hs *holdings) checkVolume(stack string, v rhumb.Volume) (found bool, err error) {
	there, found := hs.volumes[v.Name]
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
func (hs *holdings) RemoveNetwork(ctx context.Context, stack, name string) error {
	if err := hs.enter(ctx, "RemoveNetwork"); err != nil {
		return err
	}
	defer hs.mu.Unlock()
	found, ok := hs.networks[name]
	if !ok {
		return nil
	}
	if found.stack != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove network %s: it is not the stack's", name)
	}
	now := hs.now()
	for _, r := range hs.replicas {
		beside := slices.ContainsFunc(r.spec.Beside, func(a rhumb.Attachment) bool { return a.Network == name })
		if view := r.at(now); view.Alive() && view.Addrs[name].IsValid() && !beside {
			return rhumb.Errorf(rhumb.Conflict, "remove network %s: a container uses it", name)
		}
	}
	for _, r := range hs.replicas {
		r.leave(name)
	}
	delete(hs.networks, name)
	hs.note(rhumb.Change{})
	return nil
}

// RemoveVolume removes a volume of the stack.
func (hs *holdings) RemoveVolume(ctx context.Context, stack, name string) error {
	if err := hs.enter(ctx, "RemoveVolume"); err != nil {
		return err
	}
	defer hs.mu.Unlock()
	found, ok := hs.volumes[name]
	if !ok {
		return nil
	}
	if found.stack != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: it was not made by rhumb for this stack", name)
	}
	if slices.ContainsFunc(hs.replicas, func(r *replica) bool { return slices.Contains(r.volumes, name) }) {
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: a container uses it", name)
	}
	delete(hs.volumes, name)
	hs.note(rhumb.Change{})
	return nil
}

// Holdings lists the networks and volumes that carry the stack's label.
func (hs *holdings) Holdings(ctx context.Context, stack string) (rhumb.Holdings, error) {
	if err := hs.enter(ctx, "Holdings"); err != nil {
		return rhumb.Holdings{}, err
	}
	defer hs.mu.Unlock()
	h := rhumb.Holdings{Networks: of(hs.networks, stack), Volumes: of(hs.volumes, stack)}
	for _, name := range h.Networks {
		if n := hs.networks[name]; n.network.Driver == "" || n.network.Driver == "bridge" {
			h.Bridges = append(h.Bridges, n.bridge(name))
		}
	}
	return h, nil
}

// numbered sets the number of a new network.
func (hs *holdings) numbered(h holding) holding {
	h.number = hs.joined
	hs.joined++
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
