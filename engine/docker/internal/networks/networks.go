package networks

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
)

// Networks are an engine's networks. It is safe for concurrent use.
type Networks struct {
	*conn.Conn
	changing sync.Mutex // the engine allows two networks of one name: looking and creating are one step
}

// New returns the networks of an engine.
func New(c *conn.Conn) *Networks { return &Networks{Conn: c} }

// EnsureNetwork creates the stack's network unless it exists.
func (ns *Networks) EnsureNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	ns.changing.Lock()
	defer ns.changing.Unlock()
	if found, err := ns.check(ctx, stack, n); found || err != nil {
		return err
	}
	return ns.make(ctx, stack, n)
}

// CheckNetwork returns why EnsureNetwork would fail; nil: the network exists or can be created.
func (ns *Networks) CheckNetwork(ctx context.Context, stack string, n rhumb.Network) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	_, err := ns.check(ctx, stack, n)
	return err
}

// check reports whether a network exists, and returns why it isn't the wanted one.
func (ns *Networks) check(ctx context.Context, stack string, n rhumb.Network) (found bool, err error) {
	there, err := ns.named(ctx, n.Name)
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

// named returns the network of exactly that name; nil if there is none.
func (ns *Networks) named(ctx context.Context, name string) (*network.Inspect, error) {
	r, err := ns.API.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	failed := ns.Fail(err, "look at network "+name)
	switch {
	case conn.Is(failed, rhumb.NotFound):
		return nil, nil
	case failed != nil:
		return nil, failed
	case r.Network.Name != name: // the engine also matches the beginning of an ID
		return nil, nil
	}
	return &r.Network, nil
}

// failure explains why a network was not created.
func (ns *Networks) failure(err error, name string) error {
	text := conn.Words(err)
	full := strings.Contains(text, "non-overlapping") || strings.Contains(text, "all predefined address pools")
	if full || takenAddresses(text) {
		hint := "another network of this machine has these addresses: docker network ls"
		if full {
			hint = "the engine has no free addresses: remove unused networks, or widen default-address-pools in daemon.json"
		}
		return &rhumb.Error{Code: rhumb.Conflict, Msg: "make network " + name + ": " + text, Hint: hint, Err: err}
	}
	return ns.FailNeed(err, "make network "+name) // a driver
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
func (ns *Networks) RemoveNetwork(ctx context.Context, stack, name string) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	ns.changing.Lock()
	defer ns.changing.Unlock()
	found, err := ns.named(ctx, name)
	if err != nil || found == nil {
		return err
	}
	if found.Labels[label.Stack] != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove network %s: it is not the stack's", name)
	}
	if err := ns.empty(ctx, found); err != nil {
		return err
	}
	_, err = ns.API.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
	failed := ns.Fail(err, "remove network "+name)
	switch {
	case conn.Is(failed, rhumb.NotFound):
		return nil
	case conn.Is(failed, rhumb.Denied), conn.Is(failed, rhumb.Conflict): // 20.10 answers 403
		return ns.refused(ctx, name, failed)
	}
	return failed
}

// refused explains why the engine has refused to remove a network; nil: the network is gone meanwhile.
func (ns *Networks) refused(ctx context.Context, name string, failed error) error {
	now, err := ns.named(ctx, name)
	switch {
	case err != nil:
		return failed
	case now == nil:
		return nil
	case len(now.Containers) > 0:
		return inUse(name)
	}
	return rhumb.Errorf(rhumb.Conflict, "remove network %s: the engine counts a container in it that isn't there", name).
		WithHint("if that stays so, restart the engine, which counts again: systemctl restart docker")
}

// empty disconnects the containers that are in a network beside their own. If it has any other container, empty
// disconnects none and returns Conflict.
func (ns *Networks) empty(ctx context.Context, n *network.Inspect) error {
	for id := range n.Containers {
		r, err := ns.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		switch failed := ns.Fail(err, "look at "+observed.Short(id)); {
		case conn.Is(failed, rhumb.NotFound):
		case failed != nil:
			return failed
		case r.Container.Config == nil || !slices.Contains(strings.Split(r.Container.Config.Labels[label.Beside], ","),
			n.Name):
			return inUse(n.Name)
		}
	}
	for id := range n.Containers {
		_, err := ns.API.NetworkDisconnect(ctx, n.ID, client.NetworkDisconnectOptions{Container: id, Force: true})
		failed := ns.Fail(err, "disconnect "+observed.Short(id)+" from network "+n.Name)
		if failed != nil && !conn.Is(failed, rhumb.NotFound) {
			return failed
		}
	}
	return nil
}

func inUse(name string) error {
	return rhumb.Errorf(rhumb.Conflict, "remove network %s: a container uses it", name)
}
