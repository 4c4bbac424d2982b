package docker

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
)

const stopMargin = 30 * time.Second // beyond a replica's own grace

// replicas are the containers that are rhumb's.
type replicas struct {
	*conn.Conn
	known *observed.Known // as last seen
	drain func(ctx context.Context, w rhumb.LogWriter)
}

// Replicas lists the replicas of a stack, dead ones and one-offs too.
func (rs *replicas) Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	list, err := rs.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label.Of(stack)})
	if err != nil {
		return nil, rs.Fail(err, "list replicas")
	}
	rs.known.Keep(stack, list.Items)
	all := make([]rhumb.Replica, 0, len(list.Items))
	for _, c := range list.Items {
		r, err := rs.known.Listed(ctx, &c, rs.look)
		if conn.Is(err, rhumb.NotFound) {
			continue // removed since the list was made
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b rhumb.Replica) int {
		return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Service, b.Service), a.Release-b.Release, a.Slot-b.Slot,
			cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// look returns one replica as it is now.
func (rs *replicas) look(ctx context.Context, id string) (rhumb.Replica, error) {
	c, err := rs.Container(ctx, id)
	if err != nil {
		return rhumb.Replica{}, err
	}
	return observed.Replica(c), nil
}

// Stop sends the stop signal, waits as long as the replica's grace, and kills.
func (rs *replicas) Stop(ctx context.Context, id string) error {
	look, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	c, err := rs.Container(look, id)
	if conn.Is(err, rhumb.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r := observed.Replica(c); !r.Alive() {
		return nil
	}
	ctx, cancelStop := context.WithTimeout(ctx, grace(c)+stopMargin)
	defer cancelStop()
	_, err = rs.API.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
	if failed := rs.Fail(err, "stop "+observed.Name(c)); failed != nil && !conn.Is(failed, rhumb.NotFound) {
		return failed
	}
	return nil
}

// grace returns how long the engine waits between the stop signal and SIGKILL.
func grace(c *container.InspectResponse) time.Duration {
	if c.Config.StopTimeout == nil {
		return new(rhumb.Container).Grace() // Docker's default is the same
	}
	return time.Duration(*c.Config.StopTimeout) * time.Second
}

// Remove removes a dead replica and leaves its volumes. With a one-off its anonymous volumes go too.
func (rs *replicas) Remove(ctx context.Context, id string) error {
	look, done := context.WithTimeout(ctx, conn.CallTimeout)
	defer done()
	c, err := rs.Container(look, id)
	if conn.Is(err, rhumb.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r := observed.Replica(c)
	if r.Alive() {
		return rhumb.Errorf(rhumb.Conflict, "remove %s: it runs", observed.Name(c)).WithHint("stop it first")
	}
	if !r.Started.IsZero() {
		rs.drain(ctx, writerOf(c))
	}
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	_, err = rs.API.ContainerRemove(ctx, c.ID,
		client.ContainerRemoveOptions{RemoveVolumes: c.Config.Labels[label.OneOff] != ""})
	failed := rs.Fail(err, "remove "+observed.Name(c))
	going := conn.Is(failed, rhumb.Conflict) && strings.Contains(failed.Error(), "in progress")
	if going || conn.Is(failed, rhumb.NotFound) {
		return nil
	}
	return failed
}
