package docker

import (
	"context"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
)

// EnsureNetwork creates the stack's network unless it exists.
func (e *Engine) EnsureNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e.networks.Lock()
	defer e.networks.Unlock()
	if found, err := e.checkNetwork(ctx, stack, n); found || err != nil {
		return err
	}
	return e.makeNetwork(ctx, stack, n)
}

// CheckNetwork returns why EnsureNetwork would fail; nil: the network exists or can be created.
func (e *Engine) CheckNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.checkNetwork(ctx, stack, n)
	return err
}

// checkNetwork reports whether a network exists, and returns why it isn't the wanted one.
func (e *Engine) checkNetwork(ctx context.Context, stack string, n rhumb.Network) (found bool, err error) {
	there, err := e.network(ctx, n.Name)
	switch {
	case err != nil:
		return false, err
	case there == nil && n.External:
		return false, rhumb.Errorf(rhumb.NotFound, "network %s: it is external and not there", n.Name).
			WithHint("make it first: docker network create %s", n.Name)
	case there == nil || n.External:
		return there != nil, nil
	case there.Labels[label.Stack] != stack:
		return true, rhumb.Errorf(rhumb.Conflict, "network %s: one of that name is there and is not the stack's", n.Name).
			WithHint("give the network another name, or declare it external: true")
	case there.Labels[label.Definition] != n.Definition():
		return true, rhumb.Errorf(rhumb.Conflict, "network %s: it is there and defined otherwise", n.Name).
			WithHint("the engine can't change a network: take the stack down first, or give the network another name")
	}
	return true, nil
}

// network returns the network of exactly that name; nil if there is none.
func (e *Engine) network(ctx context.Context, name string) (*network.Inspect, error) {
	r, err := e.api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	failed := e.fail(err, "look at network "+name)
	switch {
	case is(failed, rhumb.NotFound):
		return nil, nil
	case failed != nil:
		return nil, failed
	case r.Network.Name != name: // the engine also matches the beginning of an ID
		return nil, nil
	}
	return &r.Network, nil
}

// networkFailure explains why a network was not created.
func (e *Engine) networkFailure(err error, name string) error {
	failed := e.fail(err, "make network "+name)
	text := words(err)
	full := strings.Contains(text, "non-overlapping") || strings.Contains(text, "all predefined address pools")
	if full || takenAddresses(text) {
		hint := "another network of this machine has these addresses: docker network ls"
		if full {
			hint = "the engine has no free addresses: remove unused networks, or widen default-address-pools in daemon.json"
		}
		return &rhumb.Error{Code: rhumb.Conflict, Msg: "make network " + name + ": " + text, Hint: hint, Err: err}
	}
	if is(failed, rhumb.NotFound) { // of a driver
		return &rhumb.Error{Code: rhumb.Invalid, Msg: "make network " + name + ": " + text, Err: err}
	}
	return failed
}

// takenAddresses reports whether an engine says that addresses are another network's: Engine 20.10 in the first two
// ways, Engine 29 in the last two.
func takenAddresses(text string) bool {
	for _, words := range []string{"overlaps", "networks have overlapping", "failed to allocate gateway",
		"Address already in use"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// RemoveNetwork removes a network of the stack.
func (e *Engine) RemoveNetwork(ctx context.Context, stack, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e.networks.Lock()
	defer e.networks.Unlock()
	found, err := e.network(ctx, name)
	if err != nil || found == nil {
		return err
	}
	if found.Labels[label.Stack] != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove network %s: it is not the stack's", name)
	}
	if err := e.clearNetwork(ctx, found); err != nil {
		return err
	}
	_, err = e.api.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
	failed := e.fail(err, "remove network "+name)
	switch {
	case is(failed, rhumb.NotFound):
		return nil
	case is(failed, rhumb.Denied), is(failed, rhumb.Conflict): // 20.10 answers 403
		return inUse("network", name)
	}
	return failed
}

// clearNetwork disconnects the containers that are in a network beside their own. If it has any other container,
// clearNetwork disconnects none and returns Conflict.
func (e *Engine) clearNetwork(ctx context.Context, n *network.Inspect) error {
	for id := range n.Containers {
		r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		switch failed := e.fail(err, "look at "+observed.Short(id)); {
		case is(failed, rhumb.NotFound):
		case failed != nil:
			return failed
		case r.Container.Config == nil || !slices.Contains(strings.Split(r.Container.Config.Labels[label.Beside], ","),
			n.Name):
			return inUse("network", n.Name)
		}
	}
	for id := range n.Containers {
		_, err := e.api.NetworkDisconnect(ctx, n.ID, client.NetworkDisconnectOptions{Container: id, Force: true})
		failed := e.fail(err, "disconnect "+observed.Short(id)+" from network "+n.Name)
		if failed != nil && !is(failed, rhumb.NotFound) {
			return failed
		}
	}
	return nil
}

func inUse(what, name string) error {
	return rhumb.Errorf(rhumb.Conflict, "remove %s %s: a container uses it", what, name)
}
