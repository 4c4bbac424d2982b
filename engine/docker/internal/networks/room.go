package networks

import (
	"context"
	"slices"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
)

// subnetTries bounds the search for a subnet, which another network may take between two calls.
const subnetTries = 5

// make creates a network. A bridge gets room for the addresses of services.
func (ns *Networks) make(ctx context.Context, stack string, n rhumb.Network) error {
	o, err := optionsOf(stack, n)
	if err != nil {
		return err
	}
	switch i, chosen := roomIn(n, o.IPAM); {
	case chosen:
		return ns.makeInChosen(ctx, stack, n.Name, o)
	case i >= 0:
		if c, ok := withRoom(o.IPAM.Config[i]); ok {
			o.IPAM.Config[i] = c
		}
	}
	return ns.create(ctx, n.Name, o)
}

// makeInChosen creates a network in a subnet that the engine chooses: only the engine knows which subnets are free, the
// machine's routes included. But the engine divides no subnet that it has chosen. So makeInChosen lets it choose one
// for a draft network, removes the draft, and creates the network in that subnet.
func (ns *Networks) makeInChosen(ctx context.Context, stack, name string, o client.NetworkCreateOptions) error {
	for range subnetTries {
		pool, err := ns.chosen(ctx, stack, name, o)
		if err != nil {
			return err
		}
		divided, ok := withRoom(pool)
		if !ok {
			break
		}
		with := o
		with.IPAM = &network.IPAM{Driver: "default"}
		if o.IPAM != nil {
			with.IPAM.Config = slices.Clone(o.IPAM.Config)
		}
		with.IPAM.Config = append(with.IPAM.Config, divided)
		err = ns.create(ctx, name, with)
		if !subnetLost(err) {
			return err
		}
		ns.Log.Debug("subnet taken by another network", "network", name, "subnet", pool.Subnet)
	}
	return ns.create(ctx, name, o)
}

// subnetLost reports whether another network may have taken the subnet between the draft and the network. Engines
// report that in many words and kinds: "overlaps" is Forbidden, a taken gateway is an internal error. So every error
// counts but those of the request itself and of the connection.
func subnetLost(err error) bool {
	switch rhumb.ErrorCode(err) {
	case rhumb.Conflict, rhumb.Denied, rhumb.Internal:
		return true
	}
	return false
}

// chosen returns the subnet that the engine chooses for a network. A draft that an earlier call left is removed first.
func (ns *Networks) chosen(ctx context.Context, stack, name string,
	o client.NetworkCreateOptions) (network.IPAMConfig, error) {
	draft := name + ".draft"
	if err := ns.removeDraft(ctx, stack, draft); err != nil {
		return network.IPAMConfig{}, err
	}
	// an internal network takes the engine half the time
	o.Labels, o.Internal = map[string]string{label.Stack: stack}, true
	if err := ns.create(ctx, draft, o); err != nil {
		return network.IPAMConfig{}, err
	}
	found, err := ns.named(ctx, draft)
	if gone := ns.removeDraft(context.WithoutCancel(ctx), stack, draft); err == nil {
		err = gone
	}
	if err != nil || found == nil {
		return network.IPAMConfig{}, err
	}
	for _, c := range found.IPAM.Config {
		if c.Subnet.Addr().Is4() {
			return network.IPAMConfig{Subnet: c.Subnet, Gateway: c.Gateway}, nil
		}
	}
	return network.IPAMConfig{}, nil // it has no IPv4
}

// removeDraft removes a draft if it exists and is rhumb's.
func (ns *Networks) removeDraft(ctx context.Context, stack, draft string) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CleanTimeout)
	defer cancel()
	found, err := ns.named(ctx, draft)
	if err != nil || found == nil || found.Labels[label.Stack] != stack {
		return err
	}
	_, err = ns.API.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
	if failed := ns.Fail(err, "remove network "+draft); failed != nil && !conn.Is(failed, rhumb.NotFound) {
		return failed
	}
	return nil
}

// create has the engine create a network.
func (ns *Networks) create(ctx context.Context, name string, o client.NetworkCreateOptions) error {
	r, err := ns.API.NetworkCreate(ctx, name, o)
	if err != nil {
		return ns.failure(err, name)
	}
	for _, w := range r.Warning {
		ns.Log.Warn("engine warns", "network", name, "warning", w)
	}
	return nil
}
