package docker

import (
	"cmp"
	"context"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
)

// Replicas lists the replicas of a stack, dead ones and one-offs too.
func (e *Engine) Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label.Of(stack)})
	if err != nil {
		return nil, e.fail(err, "list replicas")
	}
	e.known.Keep(stack, list.Items)
	rs := make([]rhumb.Replica, 0, len(list.Items))
	for _, c := range list.Items {
		r, err := e.known.Listed(ctx, &c, e.replica)
		if is(err, rhumb.NotFound) {
			continue // removed since the list was made
		}
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b rhumb.Replica) int {
		return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Service, b.Service), a.Release-b.Release, a.Slot-b.Slot,
			cmp.Compare(a.ID, b.ID))
	})
	return rs, nil
}

// replica returns one replica as it is now.
func (e *Engine) replica(ctx context.Context, id string) (rhumb.Replica, error) {
	c, err := e.inspect(ctx, id)
	if err != nil {
		return rhumb.Replica{}, err
	}
	return observed.Replica(c), nil
}

// inspect returns a container of rhumb's. It returns NotFound for any other container.
func (e *Engine) inspect(ctx context.Context, id string) (*container.InspectResponse, error) {
	r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		err = e.fail(err, "look at replica "+observed.Short(id))
		if is(err, rhumb.NotFound) {
			return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", observed.Short(id))
		}
		return nil, err
	}
	c := &r.Container
	if c.Config == nil || c.State == nil || c.HostConfig == nil || c.Config.Labels[label.Stack] == "" {
		return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not one of rhumb's", observed.Short(id))
	}
	return c, nil
}
