package docker

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
)

// The labels that make a container, a network or a volume rhumb's. They win over a user's labels of the same name.
const (
	labelStack      = "dev.rhumb.stack"
	labelService    = "dev.rhumb.service"
	labelRelease    = "dev.rhumb.release"
	labelSlot       = "dev.rhumb.slot"
	labelSpec       = "dev.rhumb.spec"
	labelRestarts   = "dev.rhumb.restarts"
	labelJoined     = "dev.rhumb.joined"     // the replica whose network namespace it shares
	labelHosts      = "dev.rhumb.hosts"      // the further names that its hosts file had at its start
	labelPostStart  = "dev.rhumb.poststart"  // commands are to run in it before it counts as ready
	labelOneOff     = "dev.rhumb.oneoff"     // of a one-off: its word
	labelDefinition = "dev.rhumb.definition" // of a network: the hash of what it was made from
)

// Replicas lists the replicas of a stack, dead ones and one-offs too.
func (e *Engine) Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: byStack(stack)})
	if err != nil {
		return nil, e.fail(err, "list replicas")
	}
	e.known.keep(stack, list.Items)
	rs := make([]rhumb.Replica, 0, len(list.Items))
	for _, c := range list.Items {
		r, err := e.listed(ctx, &c)
		if is(err, rhumb.NotFound) {
			continue // removed since the list was made
		}
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b rhumb.Replica) int {
		return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Service, b.Service), a.Release-b.Release, a.Slot-b.Slot, cmp.Compare(a.ID, b.ID))
	})
	return rs, nil
}

// byStack filters by a stack's label; "" is any stack's.
func byStack(stack string) client.Filters {
	label := labelStack
	if stack != "" {
		label += "=" + stack
	}
	return client.Filters{}.Add("label", label)
}

// replica looks at one replica.
func (e *Engine) replica(ctx context.Context, id string) (rhumb.Replica, error) {
	c, err := e.inspect(ctx, id)
	if err != nil {
		return rhumb.Replica{}, err
	}
	return replicaOf(c), nil
}

// inspect looks at a container of rhumb's. Any other is NotFound: what isn't rhumb's doesn't exist for it.
func (e *Engine) inspect(ctx context.Context, id string) (*container.InspectResponse, error) {
	r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		err = e.fail(err, "look at replica "+short(id))
		if is(err, rhumb.NotFound) {
			return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", short(id))
		}
		return nil, err
	}
	c := &r.Container
	if c.Config == nil || c.State == nil || c.HostConfig == nil || c.Config.Labels[labelStack] == "" {
		return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not one of rhumb's", short(id))
	}
	return c, nil
}

// replicaOf reads a replica out of what the engine says of its container.
func replicaOf(c *container.InspectResponse) rhumb.Replica {
	l := c.Config.Labels
	r := rhumb.Replica{
		ID: c.ID, Stack: l[labelStack], Service: l[labelService], Spec: l[labelSpec], Joined: l[labelJoined],
		OneOff: l[labelOneOff], PostStart: l[labelPostStart] != "",
		Release: number(l[labelRelease]), Slot: number(l[labelSlot]), Restarts: number(l[labelRestarts]),
		ImageID: c.Image, State: stateOf(c.State), Health: healthOf(c.State),
		ExitCode: c.State.ExitCode, OOM: c.State.OOMKilled, Error: c.State.Error,
		Created: moment(c.Created), Started: moment(c.State.StartedAt), Finished: moment(c.State.FinishedAt),
	}
	if r.Alive() {
		r.Finished, r.ExitCode = time.Time{}, 0
	}
	if c.NetworkSettings != nil && r.Alive() {
		r.Addrs = addresses(c.NetworkSettings)
	}
	return r
}

// addresses gives the address on each network: IPv4 where there is one.
func addresses(n *container.NetworkSettings) map[string]netip.Addr {
	addrs := map[string]netip.Addr{}
	for name, ep := range n.Networks {
		switch {
		case ep == nil:
		case ep.IPAddress.IsValid():
			addrs[name] = ep.IPAddress
		case ep.GlobalIPv6Address.IsValid():
			addrs[name] = ep.GlobalIPv6Address
		}
	}
	if len(addrs) == 0 {
		return nil
	}
	return addrs
}

// stateOf gives the state. The engine leaves a container that could not be started in "created", with an exit code.
func stateOf(s *container.State) rhumb.ReplicaState {
	switch {
	case s.Paused:
		return rhumb.StatePaused
	case s.Running:
		return rhumb.StateRunning
	case s.Status == container.StateCreated && s.Error == "" && s.ExitCode == 0:
		return rhumb.StateCreated
	}
	return rhumb.StateExited
}

func healthOf(s *container.State) rhumb.Health {
	if s.Health == nil || s.Health.Status == container.NoHealthcheck {
		return rhumb.HealthNone
	}
	return rhumb.Health(s.Health.Status)
}

// number reads a number that rhumb wrote into a label; 0 if somebody changed it.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// moment reads one of the engine's times; its zero is ours.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// nameOf gives a container's name.
func nameOf(c *container.InspectResponse) string { return strings.TrimPrefix(c.Name, "/") }

// short shortens an ID for people.
func short(id string) string {
	if len(id) == 64 {
		return id[:12]
	}
	return id
}
