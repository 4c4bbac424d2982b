package docker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/drawing"
	"rhumb/engine/docker/internal/observed"
)

const startTimeout = 5 * time.Minute // creating a replica may copy an image's files into a volume

// starter starts replicas.
type starter struct {
	*conn.Conn
	creator  *creator
	replicas *replicas
	starting names // names of replicas that are being started
}

// Start creates and starts a replica.
func (s *starter) Start(ctx context.Context, spec rhumb.ReplicaSpec) (rhumb.Replica, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// Two calls for one name must not join its networks at the same time: the later one would fail over what the earlier
	// one did.
	release, err := s.starting.hold(ctx, spec.Name())
	if err != nil {
		return rhumb.Replica{}, s.Fail(err, "start "+spec.Name())
	}
	defer release()
	p, made, err := s.creator.create(ctx, &spec, nil)
	if p != nil && conn.Is(err, rhumb.Conflict) {
		return s.resume(ctx, &spec, p, err)
	}
	if err != nil {
		return rhumb.Replica{}, err
	}
	r, err := s.join(ctx, made.ID, spec.Name(), p.Further)
	r.Warnings = made.Warnings
	return r, err
}

// resume continues a start whose replica's name is taken: by an earlier call that was cut off, or by something else.
func (s *starter) resume(ctx context.Context, spec *rhumb.ReplicaSpec, p *drawing.Plan,
	taken error) (rhumb.Replica, error) {
	c, err := s.Container(ctx, spec.Name())
	if conn.Is(err, rhumb.NotFound) {
		return rhumb.Replica{}, taken
	}
	if err != nil {
		return rhumb.Replica{}, err
	}
	r := observed.Replica(c)
	if r.Stack != spec.Stack || r.Service != spec.Service || r.Spec != spec.Spec {
		return rhumb.Replica{}, rhumb.Errorf(rhumb.Conflict, "start %s: a replica of that name and another spec is there",
			spec.Name())
	}
	if r.State != rhumb.StateCreated {
		return r, nil
	}
	missing := missingFrom(c, p)
	if slices.ContainsFunc(missing, func(n drawing.Connection) bool { return len(n.Endpoint.MacAddress) > 0 }) {
		return s.restart(ctx, spec, c.ID)
	}
	return s.join(ctx, c.ID, spec.Name(), missing)
}

// restart starts a replica again that never ran, and that lacks a network where it has a MAC address of its own. It
// creates the replica again: on a connection to a network, engines of API 1.44 to 1.53 ignore the MAC address.
func (s *starter) restart(ctx context.Context, spec *rhumb.ReplicaSpec, id string) (rhumb.Replica, error) {
	_, err := s.API.ContainerRemove(ctx, id, client.ContainerRemoveOptions{RemoveVolumes: true})
	if failed := s.Fail(err, "remove "+spec.Name()); failed != nil && !conn.Is(failed, rhumb.NotFound) {
		return rhumb.Replica{}, failed
	}
	p, made, err := s.creator.create(ctx, spec, nil)
	if err != nil {
		return rhumb.Replica{}, err
	}
	r, err := s.join(ctx, made.ID, spec.Name(), p.Further)
	r.Warnings = made.Warnings
	return r, err
}

// missingFrom returns the planned networks that a container is not in.
func missingFrom(c *container.InspectResponse, p *drawing.Plan) []drawing.Connection {
	wanted := slices.Clone(p.Further)
	if at := p.Create.NetworkingConfig; at != nil {
		for name, endpoint := range at.EndpointsConfig {
			wanted = append(wanted, drawing.Connection{Network: name, Endpoint: endpoint})
		}
	}
	return slices.DeleteFunc(wanted, func(n drawing.Connection) bool {
		return c.NetworkSettings != nil && c.NetworkSettings.Networks[n.Network] != nil
	})
}

// join joins a created replica to its further networks and starts it.
func (s *starter) join(ctx context.Context, id, name string, further []drawing.Connection) (rhumb.Replica, error) {
	join := func(n drawing.Connection) error {
		_, err := s.API.NetworkConnect(ctx, n.Network, client.NetworkConnectOptions{Container: id,
			EndpointConfig: n.Endpoint})
		return err
	}
	for _, n := range further {
		if n.Beside {
			continue
		}
		if err := join(n); err != nil {
			return rhumb.Replica{}, s.removeUnstarted(ctx, id, s.FailNeed(err, "join "+name+" to network "+n.Network))
		}
	}
	if _, err := s.API.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return s.failure(ctx, id, name, err)
	}
	for _, n := range further { // not before the start, which a missing network would fail
		if !n.Beside {
			continue
		}
		if err := join(n); err != nil && !conn.Is(s.Fail(err, "join"), rhumb.NotFound) {
			s.Log.Warn("network beside not joined", "replica", name, "network", n.Network, "err", err)
		}
	}
	return s.replicas.look(ctx, id)
}

// failure distinguishes a replica that can't run, which stays and carries the reason, from one that the engine didn't
// try to run.
func (s *starter) failure(ctx context.Context, id, name string, err error) (rhumb.Replica, error) {
	failed := s.Fail(err, "start "+name)
	switch text := conn.Words(err); {
	case conn.Is(failed, rhumb.Unavailable), conn.Is(failed, rhumb.Timeout), conn.Is(failed, rhumb.Cancelled):
		return rhumb.Replica{}, failed
	case strings.Contains(text, "port is already allocated"), strings.Contains(text, "address already in use"):
		taken := &rhumb.Error{Code: rhumb.Conflict, Msg: "start " + name + ": " + portWords(text), Err: err,
			Hint: "another program or container has the port: ss -lntup shows which"}
		return rhumb.Replica{}, s.removeUnstarted(ctx, id, taken)
	case strings.Contains(text, "network") && strings.Contains(text, "not found"):
		return rhumb.Replica{}, s.removeUnstarted(ctx, id, s.FailNeed(err, "start "+name))
	}
	r, lookErr := s.replicas.look(ctx, id)
	if lookErr != nil {
		return rhumb.Replica{}, lookErr
	}
	if r.Alive() || r.State == rhumb.StateCreated {
		return rhumb.Replica{}, failed // the engine didn't try
	}
	return r, nil
}

// removeUnstarted removes a replica that never ran, and returns why.
func (s *starter) removeUnstarted(ctx context.Context, id string, why error) error {
	if conn.Is(why, rhumb.Unavailable) || conn.Is(why, rhumb.Cancelled) || conn.Is(why, rhumb.Timeout) {
		return why // the next call finds the replica and continues
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conn.CleanTimeout)
	defer cancel()
	// Named volumes, such as those of slots, stay.
	if _, err := s.API.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true,
		RemoveVolumes: true}); err != nil {
		s.Log.Warn("replica that never ran not removed", "id", observed.Short(id), "err", err)
	}
	return why
}

// portWords returns the part of the engine's message that is about the port.
func portWords(text string) string {
	for _, start := range []string{"Bind for ", "listen tcp", "listen udp"} {
		if i := strings.Index(text, start); i >= 0 {
			return text[i:]
		}
	}
	return text
}
