package docker

import (
	"context"
	"slices"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/networks"
)

// subnetTries bounds the search for a subnet, which another network may take between two calls.
const subnetTries = 5

// makeNetwork creates a network. A bridge gets room for the addresses of services.
func (e *Engine) makeNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	o, err := networks.Options(stack, n)
	if err != nil {
		return err
	}
	switch i, chosen := networks.RoomIn(n, o.IPAM); {
	case chosen:
		return e.makeInChosen(ctx, stack, n.Name, o)
	case i >= 0:
		if c, ok := networks.WithRoom(o.IPAM.Config[i]); ok {
			o.IPAM.Config[i] = c
		}
	}
	return e.createNetwork(ctx, n.Name, o)
}

// makeInChosen creates a network in a subnet that the engine chooses: only the engine knows which subnets are free, the
// machine's routes included. But the engine divides no subnet that it has chosen. So makeInChosen lets it choose one
// for a draft network, removes the draft, and creates the network in that subnet.
func (e *Engine) makeInChosen(ctx context.Context, stack, name string, o client.NetworkCreateOptions) error {
	for range subnetTries {
		pool, err := e.chosen(ctx, stack, name, o)
		if err != nil {
			return err
		}
		divided, ok := networks.WithRoom(pool)
		if !ok {
			break
		}
		with := o
		with.IPAM = &network.IPAM{Driver: "default"}
		if o.IPAM != nil {
			with.IPAM.Config = slices.Clone(o.IPAM.Config)
		}
		with.IPAM.Config = append(with.IPAM.Config, divided)
		err = e.createNetwork(ctx, name, with)
		if !subnetLost(err) {
			return err
		}
		e.log.Debug("subnet taken by another network", "network", name, "subnet", pool.Subnet)
	}
	return e.createNetwork(ctx, name, o)
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
func (e *Engine) chosen(ctx context.Context, stack, name string,
	o client.NetworkCreateOptions) (network.IPAMConfig, error) {
	draft := name + ".draft"
	if err := e.removeDraft(ctx, stack, draft); err != nil {
		return network.IPAMConfig{}, err
	}
	// an internal network takes the engine half the time
	o.Labels, o.Internal = map[string]string{label.Stack: stack}, true
	if err := e.createNetwork(ctx, draft, o); err != nil {
		return network.IPAMConfig{}, err
	}
	found, err := e.network(ctx, draft)
	if gone := e.removeDraft(context.WithoutCancel(ctx), stack, draft); err == nil {
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
func (e *Engine) removeDraft(ctx context.Context, stack, draft string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	found, err := e.network(ctx, draft)
	if err != nil || found == nil || found.Labels[label.Stack] != stack {
		return err
	}
	_, err = e.api.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
	if failed := e.fail(err, "remove network "+draft); failed != nil && !is(failed, rhumb.NotFound) {
		return failed
	}
	return nil
}

// createNetwork has the engine create a network.
func (e *Engine) createNetwork(ctx context.Context, name string, o client.NetworkCreateOptions) error {
	r, err := e.api.NetworkCreate(ctx, name, o)
	if err != nil {
		return e.networkFailure(err, name)
	}
	for _, w := range r.Warning {
		e.log.Warn("engine warns", "network", name, "warning", w)
	}
	return nil
}
